"""Start Triton: the container's tritonserver if there is one, else the CPU one in the pip wheel nvidia-pytriton.

Takes tritonserver's flags and becomes tritonserver (exec), so that a supervisor's signals reach it. What would keep
Triton from serving is said in one line on stderr, with exit code 3: starting again does not help.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

MISCONFIGURED = 3

EMBEDDED_BACKENDS = {"onnxruntime", "onnxruntime_onnx", "python", "ensemble"}
SAVED_MODEL = {"tensorflow", "tensorflow_savedmodel"}
GRAPH_DEF = "tensorflow_graphdef"
NVIDIA_IMAGE = "nvcr.io/nvidia/tritonserver"
LAST_WITH_TENSORFLOW = f"{NVIDIA_IMAGE}:25.02-py3"
# What Triton looks for in a version directory, in its order: the first decides on the platform if no config.pbtxt does.
# Source: AutoCompleteBackendFields in triton-inference-server/core, src/model_config_utils.cc, as of 2026.
MODEL_FILES = {
    "model.savedmodel": ("tensorflow_savedmodel", "a TensorFlow SavedModel"),
    "model.graphdef": (GRAPH_DEF, "a TensorFlow GraphDef"),
    "model.plan": ("tensorrt_plan", "a TensorRT plan"),
    "model.onnx": ("onnxruntime_onnx", "an ONNX model"),
    "model.xml": ("openvino", "an OpenVINO model"),
    "model.pt": ("pytorch_libtorch", "a TorchScript model"),
    "model.py": ("python", "a Python model"),
    "model.dali": ("dali", "a DALI pipeline"),
}
STRICT_OFF = "--strict-model-config=false"
AUTO_COMPLETE_OFF = "--disable-auto-complete-config"
INPUT_SIZE = f"--http-max-input-size={2**31 - 1}"  # since 25.06, else 64 MiB; MAX_BODY_BYTES is what limits requests
CLIENTS_MEMORY = "--allow-client-shm=true"  # before 26.05 it was so; for large tensors
WITHOUT_GPU = ("--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0")
SHARED_MEMORY = 256 << 20  # bytes; Docker gives 64 MiB, of which one instance was seen to take 43 under load
# Triton starts the Python backend's stub with `bash -c` and does not quote the paths: with a space in one, it hangs.
UNSAFE = re.compile(r"[^\w./+,:=@%~-]")


def main() -> NoReturn:
    """Check what Triton would stumble over, tidy up after a killed predecessor, become tritonserver."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model-repository", "--model-store", action="append", default=[])
    parser.add_argument("--backend-config", action="append", default=[])
    parser.add_argument("--backend-directory", type=Path)
    flags, others = parser.parse_known_args()

    # s3://, gs:// and as:// are Triton's to read.
    repositories = [Path(path).absolute() for path in flags.model_repository if "://" not in path]
    for repository in repositories:
        check_repository(repository)
    check_shared_memory()
    Path(tempfile.gettempdir(), "triton.pid").write_text(str(os.getpid()))  # whoever finds it of no use may kill it
    settings = dict(setting.rpartition("=")[::2] for setting in flags.backend_config)
    if prefix := settings.get("python,shm-region-prefix-name"):
        remove_stale_shared_memory(prefix)

    environment = dict(os.environ)
    environment["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime would send what it does to its makers
    if size := settings.get("default-max-batch-size"):  # Triton does not hand its flags down to a Python-based backend
        environment["TRITON_DEFAULT_MAX_BATCH_SIZE"] = size
    if not has_gpu():
        let_workers_go_first()

    if native := shutil.which("tritonserver") or shutil.which("/opt/tritonserver/bin/tritonserver"):
        backends = flags.backend_directory or Path(native).resolve().parent.parent / "backends"
        for repository in repositories:
            check_native_can_serve(repository, backends)
        if not has_gpu():
            say("There is no GPU here: Triton serves on the CPU.")
        become(native, native, environment, sys.argv[1:])

    if not (pytriton := importlib.util.find_spec("pytriton")) or not pytriton.origin:
        stop(
            "No Triton here: neither tritonserver on PATH nor the package nvidia-pytriton for this Python. "
            "Install requirements-embedded.txt, use the container image, or set TRITON=off to run without Triton."
        )
    for repository in repositories:
        check_embedded_can_serve(repository)
    packages = Path(pytriton.origin).parent.parent
    environment |= {
        "LD_LIBRARY_PATH": search_path("LD_LIBRARY_PATH", packages / "nvidia_pytriton.libs", *libpython_directory()),
        # The stub's Python ignores PYTHONPATH and PYTHONHOME. It takes the first python3 on PATH to be itself, and so
        # finds that one's standard library, pyvenv.cfg and site-packages.
        "PATH": search_path("PATH", Path(sys.executable).parent),
    }
    wheel = packages / "pytriton" / "tritonserver"
    binary = wheel / "bin" / "tritonserver"
    arguments = [
        f"--backend-directory={flags.backend_directory or make_backends(wheel)}",
        f"--cache-directory={wheel / 'caches'}",
        *others,
        *(f"--backend-config={setting}" for setting in flags.backend_config),
        *(f"--model-repository={path}" for path in flags.model_repository if "://" in path),
        *(f"--model-repository={path_for_stub(*numbered)}" for numbered in enumerate(repositories)),
    ]
    # The stub puts the working directory first on sys.path: a model.py lying there was taken for the backend's.
    os.chdir(tempfile.gettempdir())
    become(binary, "tritonserver", environment, arguments)


def become(binary: str | Path, name: str, environment: dict[str, str], arguments: list[str]) -> NoReturn:
    """Become tritonserver, with the flags that this release of it takes, which its --help tells.

    Exit for one that was asked for and that it does not have.
    """
    told = subprocess.run([binary, "--help"], env=environment, capture_output=True, text=True)
    known = set(re.findall(r"--[a-z][a-z0-9-]+", told.stdout + told.stderr))
    if AUTO_COMPLETE_OFF in known:  # since there is this flag, configs are completed without one, and STRICT_OFF warns
        arguments = [each for each in arguments if each != STRICT_OFF]
    for each in arguments:
        flag = each.partition("=")[0]
        if each.startswith("--") and flag not in known:
            stop(f"This tritonserver has no flag {flag}. Correct TRITON_EXTRA_ARGS; tritonserver --help has them all.")
    ours = [INPUT_SIZE, CLIENTS_MEMORY, *([] if has_gpu() else WITHOUT_GPU)]
    os.execve(binary, [name, *(each for each in ours if each.partition("=")[0] in known), *arguments], environment)  # noqa: S606


def has_gpu() -> bool:
    """Whether there is a device of NVIDIA's driver, or of the one that a WSL has."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def let_workers_go_first() -> None:
    """Share the processors with Gunicorn's workers so that requests come to Triton side by side.

    A model computes for long, a worker for a moment, and then Triton has one request more for its next batch. So no
    thread of Triton's interrupts a worker when it wakes.
    """
    with contextlib.suppress(OSError):  # a sandbox that does not know it: Triton serves without
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def check_repository(repository: Path) -> None:
    """Exit if the repository cannot be read or has no model; warn of a config.pbtxt where Triton does not read it."""
    for path in (repository, *repository.rglob("*")):
        if path.exists() and not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            stop(
                f"{path} cannot be read by user {os.getuid()}, who runs this service. "
                f"Allow it, for example: chmod -R a+rX {repository}"
            )
    allowed = os.environ.get("ALLOW_NO_MODELS") == "on"
    if not repository.is_dir() or not (models(repository) or allowed):
        problem = "has no model" if repository.is_dir() else "does not exist"
        stop(
            f"The model repository {repository} {problem}. Put a model at {repository}/<model>/1/model.onnx, "
            "or set MODEL_DIR to the directory of your models, or TRITON=off to run without Triton."
        )
    for misplaced in sorted(repository.glob("*/[0-9]*/config.pbtxt")):
        say(f"Triton does not read {misplaced}. It belongs one directory up: {misplaced.parent.parent}/config.pbtxt.")


def check_shared_memory() -> None:
    """Warn if there is little of it: the Python backend keeps tensors there, and fails when it is full."""
    memory = os.statvfs("/dev/shm")  # noqa: S108
    size = memory.f_blocks * memory.f_frsize
    if size < SHARED_MEMORY:
        say(
            f"/dev/shm has only {size >> 20} MiB; when it is full, models of Triton's Python backend fail. "  # noqa: S108
            f"Give it more: docker run --shm-size={SHARED_MEMORY >> 20}m, or in Kubernetes a volume of medium Memory."
        )


def remove_stale_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a predecessor that was killed together with its stubs.

    A stub whose tritonserver alone was killed removes its own and exits, within 0.5 s, even while it computes.
    """
    uuid = re.compile(re.escape(prefix) + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # Triton adds it
    for region in Path("/dev/shm").iterdir():  # noqa: S108  where Linux keeps it
        if uuid.fullmatch(region.name):
            region.unlink(missing_ok=True)


def check_native_can_serve(repository: Path, backends: Path) -> None:
    """Exit if a model of the repository is TensorFlow's, but this Triton is one of those that came without."""
    if not backends.is_dir() or (backends / "tensorflow").exists():
        return
    for model in models(repository):
        file, platform, kind = what_decides(model)
        if platform in {*SAVED_MODEL, GRAPH_DEF}:
            ours = "" if platform == GRAPH_DEF else "Put Scoregate's there (embedded/README.md says how), or "
            stop(
                f"{file} is {kind}, but there is no {backends}/tensorflow: NVIDIA's images have none since 25.03. "
                f"{ours}use {LAST_WITH_TENSORFLOW}."
            )


def check_embedded_can_serve(repository: Path) -> None:
    """Exit if a model of the repository needs the container's Triton, or has a name that the stub cannot be given."""
    for model in models(repository):
        file, platform, kind = what_decides(model)
        if platform in SAVED_MODEL:
            if not importlib.util.find_spec("tensorflow"):
                stop(
                    f"{file} is {kind}, and this Python has no TensorFlow. Install requirements-tensorflow.txt, "
                    f"or use a container image that has it ({LAST_WITH_TENSORFLOW} was NVIDIA's last)."
                )
        elif platform and platform not in EMBEDDED_BACKENDS:
            image = LAST_WITH_TENSORFLOW if platform == GRAPH_DEF else f"{NVIDIA_IMAGE}:<release>-py3"
            stop(
                f"{file} is {kind}: the Triton in the pip wheel serves only ONNX, TensorFlow SavedModels and Python. "
                f"Use the container image, built on {image}."
            )
        if UNSAFE.search(model.name):
            stop(f"Triton's Python backend cannot start {model}: rename it to letters, digits, '-', '_' and '.'.")


def what_decides(model: Path) -> tuple[Path, str, str]:
    """The file that tells Triton what can serve the model, that backend or platform, and what to call the file.

    The backend is empty if no file tells.
    """
    config = model / "config.pbtxt"
    text = config.read_text() if config.is_file() else ""
    if declared := re.search(r"""^[^#\n]*?\b(backend|platform)\s*:\s*["']([^"']+)""", text, re.MULTILINE):
        return config, declared[2], f"for {declared[1]} {declared[2]!r}"
    for version in sorted(model.glob("[0-9]*")):
        for name, (platform, kind) in MODEL_FILES.items():
            if (version / name).exists():
                return version / name, platform, kind
    return model, "", ""


def path_for_stub(number: int, repository: Path) -> Path:
    """The repository, by way of a symbolic link where its own path is one that Triton cannot give to a stub."""
    if not UNSAFE.search(str(repository)):
        return repository
    link = Path(tempfile.gettempdir(), f"repository-{number}")
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    return link


def libpython_directory() -> list[Path]:
    """Where the stub finds this Python's libpython; empty if the dynamic loader knows. Exit if there is none."""
    libpython = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    own = Path(sys.base_prefix, "lib")
    if (own / libpython).is_file():
        return [own]
    try:
        ctypes.CDLL(libpython)
    except OSError:
        package = libpython.removesuffix(".so.1.0")
        stop(f"Triton's Python backend needs {libpython}. Install it: apt-get install {package} (Debian, Ubuntu).")
    return []


def search_path(variable: str, *first: Path) -> str:
    """The directories of an environment variable, ours before those that it already has."""
    return os.pathsep.join([*map(str, first), *filter(None, [os.environ.get(variable)])])


def make_backends(wheel: Path) -> Path:
    """Lay out a backend directory: the wheel's Python backend with this Python's stub, and our Python-based ones."""
    backends = Path(tempfile.gettempdir(), "backends")
    if UNSAFE.search(str(backends)):
        stop(f"Triton's Python backend cannot start from {backends}: set TMPDIR to a path without spaces.")
    shutil.rmtree(backends, ignore_errors=True)
    python = backends / "python"
    python.mkdir(parents=True)
    # Copies: Triton refuses a library that a symbolic link leads out of the backend's directory.
    for file in (wheel / "backends" / "python").iterdir():
        if file.is_file():
            shutil.copy(file, python)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(wheel / "python_backend_stubs" / version / "triton_python_backend_stub", python)
    ours = Path(__file__).resolve().parent / "backends"
    for backend in ("onnxruntime", "tensorflow"):
        for part in ("python_based", backend):  # Triton puts no other directory than the backend's on Python's path
            shutil.copytree(ours / part, backends / backend, dirs_exist_ok=True)
    return backends


def models(repository: Path) -> list[Path]:
    """The directories of the repository's models."""
    return sorted(path for path in repository.iterdir() if path.is_dir() and not path.name.startswith("."))


def stop(problem: str) -> NoReturn:
    """Exit for what only a person can put right."""
    say(problem)
    sys.exit(MISCONFIGURED)


def say(line: str) -> None:
    """Write one line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
