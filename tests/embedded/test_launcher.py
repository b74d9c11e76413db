"""embedded/tritonserver.py: what it refuses, what it tidies up, and what it becomes."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import LAUNCHER
from onnx_models import put, times

PYTHON_MODEL = b"""
import os
import sys
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_output({"name": "where", "data_type": "TYPE_STRING", "dims": [2]})
        return config

    def execute(self, requests):
        where = np.array([np.__file__, os.__file__], dtype=object)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("where", where)]) for _ in requests]
"""


def launch(*arguments, **environment):
    return subprocess.run(
        [sys.executable, LAUNCHER, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )


@pytest.fixture
def repository(tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    return repository


@pytest.fixture
def tritonserver_on_path(tmp_path, monkeypatch):
    """A stand-in for the container's tritonserver, that says how it was called, and which flags its release has."""
    script = tmp_path / "bin" / "tritonserver"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\n[ "$1" = --help ] && echo "$FLAGS" >&2 && exit 1\nprintf "%s\\n" "$0" "$@"\n')
    monkeypatch.setenv("FLAGS", "--model-repository --model-store --backend-config --backend-directory --log-info")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return str(script)


def assert_refused(result, *words):
    assert (result.returncode, result.stdout) == (3, "")
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert str(word) in result.stderr


@pytest.mark.parametrize("flag", ["--model-repository", "--model-store"])
def test_a_missing_repository_is_refused(tmp_path, flag):
    missing = tmp_path / "missing"
    result = launch(f"{flag}={missing}")
    assert_refused(result, f"{missing} does not exist", f"{missing}/<model>/1/model.onnx", "MODEL_DIR", "TRITON=off")


def test_a_repository_without_a_model_is_refused(repository):
    (repository / "README.md").write_text("no model")
    (repository / ".git").mkdir()
    assert_refused(launch("--model-repository", repository), f"{repository} has no model", "MODEL_DIR", "TRITON=off")


def test_each_of_several_repositories_is_checked(repository, tmp_path):
    put(repository, "double", times(2, ["n", 2]))
    missing = tmp_path / "missing"
    assert_refused(launch(f"--model-repository={repository}", f"--model-repository={missing}"), missing)


@pytest.mark.parametrize(
    ("file", "kind", "image"),
    [
        ("model.graphdef", "TensorFlow GraphDef", "25.02"),
        ("model.plan", "TensorRT", "<release>"),
        ("model.pt", "TorchScript", "<release>"),
        ("model.xml", "OpenVINO", "<release>"),
        ("model.dali", "DALI", "<release>"),
    ],
)
def test_a_model_for_the_containers_triton_is_refused(repository, file, kind, image):
    put(repository, "foreign", b"", file=file)
    image = f"Use the container image, built on nvcr.io/nvidia/tritonserver:{image}-py3"
    assert_refused(launch(f"--model-repository={repository}"), f"foreign/1/{file}", kind, image)


@pytest.mark.parametrize(
    ("line", "image"), [('backend: "dali"', "<release>"), ("name: \"a\" platform : 'tensorflow_graphdef'", "25.02")]
)
def test_a_config_for_the_containers_triton_is_refused(repository, line, image):
    put(repository, "foreign", b"", f"max_batch_size: 8\n{line}\n", file="weights.bin")
    result = launch(f"--model-repository={repository}")
    assert_refused(result, "foreign/config.pbtxt", line.split()[-1].strip("'\""), f"tritonserver:{image}-py3")


SAVED_MODELS = [
    pytest.param("", "foreign/1/model.savedmodel is a TensorFlow SavedModel", id="by-its-name"),
    pytest.param('backend: "tensorflow"', "foreign/config.pbtxt is for backend 'tensorflow'", id="backend"),
    pytest.param('platform: "tensorflow_savedmodel"', "foreign/config.pbtxt is for platform", id="platform"),
]


@pytest.mark.skipif(bool(importlib.util.find_spec("tensorflow")), reason="TensorFlow is installed")
@pytest.mark.parametrize(("config", "words"), SAVED_MODELS)
def test_a_saved_model_without_tensorflow_is_refused(repository, config, words):
    put(repository, "foreign", b"", config, file="model.savedmodel")
    assert_refused(
        launch(f"--model-repository={repository}"),
        words,
        "Install requirements-tensorflow.txt",
        "tritonserver:25.02-py3",
    )


@pytest.mark.parametrize(("config", "words"), SAVED_MODELS)
def test_a_saved_model_for_a_container_without_tensorflow_is_refused(repository, tritonserver_on_path, config, words):
    backends = Path(tritonserver_on_path).parents[1] / "backends"
    backends.mkdir()
    put(repository, "foreign", b"", config, file="model.savedmodel")
    result = launch(f"--model-repository={repository}")
    assert_refused(result, words, f"no {backends}/tensorflow", "embedded/README.md", "tritonserver:25.02-py3")


def test_a_graphdef_for_a_container_without_tensorflow_is_refused(repository, tritonserver_on_path):
    (Path(tritonserver_on_path).parents[1] / "backends").mkdir()
    put(repository, "foreign", b"", file="model.graphdef")
    result = launch(f"--model-repository={repository}")
    assert_refused(result, "foreign/1/model.graphdef", "use nvcr.io/nvidia/tritonserver:25.02-py3")
    assert "Scoregate" not in result.stderr


@pytest.mark.parametrize("directory", ["backends", "elsewhere"])
def test_a_container_with_tensorflow_gets_a_saved_model(repository, tritonserver_on_path, directory):
    prefix = Path(tritonserver_on_path).parents[1]
    (prefix / "backends").mkdir()
    (prefix / directory / "tensorflow").mkdir(parents=True)
    put(repository, "foreign", b"", file="model.savedmodel")
    flags = [] if directory == "backends" else ["--backend-directory", prefix / directory]
    assert launch(f"--model-repository={repository}", *flags).returncode == 0


def test_a_model_name_that_tritons_stub_cannot_be_given_is_refused(repository):
    put(repository, "my model", times(2, ["n", 2]))
    assert_refused(launch(f"--model-repository={repository}"), repository / "my model", "rename")


def test_a_repository_whose_path_has_a_space_is_served(new_triton, tmp_path):
    put(tmp_path / "my models", "double", times(2, ["n", 2]))
    triton = new_triton(tmp_path / "my models").start().wait_until_live()
    assert triton.http.get(f"{triton.url}/v2/models/double/ready", timeout=10).status_code == 200


def test_without_any_triton_the_line_says_what_to_install(repository):
    put(repository, "double", times(2, ["n", 2]))
    # -S: no site-packages, as in a Python without the wheel
    result = subprocess.run(
        [sys.executable, "-S", LAUNCHER, f"--model-repository={repository}"], capture_output=True, text=True, timeout=60
    )
    assert_refused(result, "requirements-embedded.txt", "container image", "TRITON=off")


def test_the_containers_tritonserver_gets_the_arguments_unchanged(repository, tritonserver_on_path):
    put(repository, "foreign", b"", file="model.plan")
    arguments = [f"--model-repository={repository}", "--model-store", "s3://bucket/models", "--log-info=false"]
    arguments += [
        "--backend-config=python,shm-region-prefix-name=none-",
        "--backend-config",
        "default-max-batch-size=8",
    ]
    result = launch(*arguments)
    assert (result.returncode, result.stderr) == (0, NO_GPU)
    assert result.stdout.splitlines() == [tritonserver_on_path, *arguments]


NO_GPU = "There is no GPU here: Triton serves on the CPU.\n"
STRICT_OFF = "--strict-model-config=false"
WITHOUT_GPU = ["--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0"]


@pytest.mark.parametrize(
    ("release", "becomes"),
    [
        pytest.param("--strict-model-config", [STRICT_OFF], id="only this flag completes configs"),
        pytest.param("--strict-model-config --disable-auto-complete-config", [], id="it is deprecated, and warns"),
        pytest.param("--disable-auto-complete-config", [], id="it is gone"),
        pytest.param(
            "--disable-auto-complete-config --allow-gpu-metrics --pinned-memory-pool-byte-size --http-max-input-size",
            ["--http-max-input-size=2147483647", *WITHOUT_GPU],
            id="one that limits requests, built for GPUs",
        ),
        pytest.param("--strict-model-config --allow-client-shm", ["--allow-client-shm=true", STRICT_OFF], id="memory"),
    ],
)
def test_each_release_gets_the_flags_that_it_has(repository, tritonserver_on_path, monkeypatch, release, becomes):
    put(repository, "foreign", b"", file="model.plan")
    monkeypatch.setenv("FLAGS", f"--model-repository {release}")
    result = launch(STRICT_OFF, f"--model-repository={repository}")
    assert (result.returncode, result.stderr) == (0, NO_GPU)
    assert result.stdout.splitlines()[1:] == [*becomes, f"--model-repository={repository}"]


@pytest.mark.parametrize(("gpu", "policy"), [(False, os.SCHED_BATCH), (True, os.SCHED_OTHER)])
def test_triton_does_not_interrupt_workers_unless_a_gpu_would_wait(repository, tritonserver_on_path, gpu, policy):
    put(repository, "foreign", b"", file="model.plan")
    Path(tritonserver_on_path).write_text("#!/bin/sh\ngrep ^policy /proc/self/sched\n")
    code = (
        "import os, sys; sys.path.insert(0, os.path.dirname(sys.argv.pop(1))); import tritonserver\n"
        f"tritonserver.has_gpu = lambda: {gpu}; tritonserver.main()"
    )
    result = subprocess.run([sys.executable, "-c", code, LAUNCHER], capture_output=True, text=True, timeout=60)
    assert int(result.stdout.rpartition(":")[2]) == policy


def test_a_flag_that_this_tritonserver_has_not_is_refused(repository):
    put(repository, "double", times(2, ["n", 2]))
    assert_refused(launch(f"--model-repository={repository}", "--log-everything=1"), "no flag --log-everything.")


@pytest.mark.parametrize("path", ["double/1/model.onnx", "double/1", "double", "."])
def test_a_repository_that_the_services_user_cannot_read_is_refused(repository, path):
    if os.getuid() != 0:
        pytest.skip("only root can become another user here")
    put(repository, "double", times(2, ["n", 2]))
    for parent in (repository, *repository.parents):
        if parent.stat().st_mode & 0o777 == 0o700:  # pytest's directories
            parent.chmod(0o755)
    (repository / path).chmod(0o700)
    code = (
        "import os, sys, runpy; sys.path.insert(0, os.path.dirname(sys.argv[1])); import tritonserver\n"
        "from pathlib import Path; os.setuid(54321); tritonserver.check_repository(Path(sys.argv[2]))"
    )
    result = subprocess.run([sys.executable, "-c", code, LAUNCHER, repository], capture_output=True, text=True)
    assert_refused(result, (repository / path).resolve(), "cannot be read by user 54321", "chmod -R a+rX")


def test_little_shared_memory_is_warned_of(repository):
    """In a mount namespace with a /dev/shm of Docker's size."""
    put(repository, "double", times(2, ["n", 2]))
    mounted = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*mounted, "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces are not allowed here; the container tests cover it")
    command = [*mounted, sys.executable, LAUNCHER, f"--model-repository={repository}", "--no-such-flag"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stderr.splitlines()[0].startswith("/dev/shm has only 64 MiB; when it is full, models of Triton's")


def test_a_config_in_a_version_directory_is_warned_of(repository, tritonserver_on_path):
    put(repository, "double", times(2, ["n", 2]))
    (repository / "double" / "1" / "config.pbtxt").write_text("max_batch_size: 8")
    result = launch(f"--model-repository={repository}")
    assert result.returncode == 0
    assert len(result.stderr.splitlines()) == 2
    assert NO_GPU in result.stderr
    assert f"{repository}/double/1/config.pbtxt" in result.stderr
    assert f"{repository}/double/config.pbtxt" in result.stderr


@pytest.mark.parametrize(
    ("file", "config", "words"),
    [
        ("model.onnx", "", ["no version directory", "bad/1/model.onnx"]),
        ("v1/model.onnx", "", ["no version directory"]),
        ("01/model.onnx", "", ["no version directory"]),
        ("readme.txt", 'backend: "python"', ["no version directory", "bad/1/model.py"]),
        ("1/digits.onnx", "", ["bad/1/model.onnx", "digits.onnx", "default_model_filename"]),
        ("1/digits.onnx", 'backend: "onnxruntime"', ["bad/1/model.onnx", "digits.onnx"]),
        ("1/model.onnx", 'backend: "python"', ["bad/1/model.py", "there is model.onnx"]),
        ("2/model.onnx", 'backend: "onnxruntime" default_model_filename: "net.onnx"', ["bad/2/net.onnx"]),
        ("1/x/model.onnx", "", ["bad/1/model.onnx", "there is x"]),
    ],
)
def test_a_model_whose_file_is_not_where_triton_looks_is_warned_of(
    repository, tritonserver_on_path, file, config, words
):
    for name in ("good", "bad"):
        put(repository, name, times(2, ["n", 2]), config if name == "bad" else "")
    (repository / "bad" / "1" / "model.onnx").unlink()
    (repository / "bad" / "1").rmdir()
    path = repository / "bad" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    result = launch(f"--model-repository={repository}")
    assert result.returncode == 0
    line, rest = result.stderr.split("\n", 1)
    assert rest == NO_GPU
    assert line.startswith(f"Triton cannot load {repository}/bad: it ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("file", "config"),
    [
        ("1/net.onnx", 'backend: "onnxruntime" default_model_filename: "net.onnx"'),
        ("1/engine", 'backend: "vllm"'),
        ("3/model.custom", ""),
        ("1/model_cc90.plan", 'platform: "tensorrt_plan" cc_model_filenames { key: "9.0" value: "model_cc90.plan" }'),
        ("1/labels.txt", 'platform: "ensemble"'),
    ],
)
def test_a_model_whose_file_has_another_name_by_right_is_not(repository, tritonserver_on_path, file, config):
    path = repository / "good" / file
    path.parent.mkdir(parents=True)
    path.touch()
    (path.parents[1] / "config.pbtxt").write_text(config)
    result = launch(f"--model-repository={repository}", PYTHONSAFEPATH=1)
    assert (result.returncode, result.stderr) == (0, NO_GPU)


def test_models_import_from_this_environment_and_the_working_directory_is_not_in_the_way(repository, new_triton):
    put(repository, "where", PYTHON_MODEL, file="model.py")
    put(repository, "double", times(2, ["n", 2]))
    (repository / "double" / "1" / "model.pt").write_bytes(b"what the ONNX model was made from")
    triton = new_triton(repository)
    (triton.temporary / "work").mkdir()
    (triton.temporary / "work" / "model.py").write_text("raise RuntimeError('not a model')")
    triton.start(cwd=triton.temporary / "work").wait_until_live()
    assert triton.index() == {"where": ("READY", ""), "double": ("READY", "")}
    assert triton.infer("where")["where"].tolist() == [np.__file__.encode(), os.__file__.encode()]
    triton.stop()


def test_what_a_killed_triton_leaves_is_gone_after_the_next_start(repository, new_triton):
    put(repository, "where", PYTHON_MODEL, file="model.py")
    triton = new_triton(repository).start().wait_until_live()
    stubs = triton.stubs()
    assert stubs
    triton.process.kill()  # Triton alone: its stubs notice, and tidy up after themselves
    triton.process.wait()
    deadline = time.monotonic() + 10
    while triton.stubs() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (triton.stubs(), triton.shared_memory()) == ([], [])

    triton.start().wait_until_live()
    for stub in triton.stubs():
        os.kill(stub, signal.SIGSTOP)  # else it could notice in time
    triton.kill()
    stale = triton.shared_memory()
    assert stale

    triton.start().wait_until_live()
    assert not set(stale) & set(triton.shared_memory())
    triton.stop()
    assert triton.shared_memory() == []


def test_shared_memory_of_others_stays(repository, new_triton, tritonserver_on_path):
    put(repository, "double", times(2, ["n", 2]))
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    prefix = new_triton(repository).shm_prefix
    regions = [Path("/dev/shm", name) for name in (f"{prefix}{uuid}", f"{prefix}1-{uuid}", f"x{prefix}{uuid}")]
    for region in regions:
        region.touch()
    try:
        launch(f"--model-repository={repository}", f"--backend-config=python,shm-region-prefix-name={prefix}")
        assert [region.exists() for region in regions] == [False, True, True]
    finally:
        for region in regions:
            region.unlink(missing_ok=True)
