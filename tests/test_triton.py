"""Scripts and their Triton: unmodified clients batch, wrong tensors are explained, a dead Triton comes back."""

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from service import ROOT, SCENARIOS, descendants, wait_until

from bench.ports import free_ports


@pytest.fixture(scope="module")
def azure_page(start_module):
    return start_module(APP_ROOT=SCENARIOS / "azure_page", MODEL_DIR=ROOT / "models").wait_ready()


@pytest.fixture(scope="module")
def tensors(start_module, tmp_path_factory):
    """Serves digits, and Python-backend models that take 0.1 s, take 2 s, and raise."""
    models = tmp_path_factory.mktemp("models") / "triton"
    (models / "digits" / "1").mkdir(parents=True)
    (models / "digits" / "1" / "model.onnx").symlink_to(ROOT / "models/triton/digits/1/model.onnx")
    actions = {
        "brief": "time.sleep(0.1)",
        "slow": "time.sleep(2)",
        "raises": "raise RuntimeError('secret of the model')",
    }
    for name, action in actions.items():
        (models / name / "1").mkdir(parents=True)
        (models / name / "1" / "model.py").write_text(PYTHON_MODEL.replace("ACTION", action))
    return start_module(APP_ROOT=SCENARIOS / "tensors", MODEL_DIR=models.parent).wait_ready()


PYTHON_MODEL = """
import time
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "image", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "echo", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(64)
        config.set_dynamic_batching()
        return config

    def execute(self, requests):
        ACTION
        images = [pb_utils.get_input_tensor_by_name(each, "image").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("echo", image)]) for image in images]
"""


@pytest.mark.parametrize("binary", [True, False])
def test_a_script_in_the_azure_pages_style_runs_unmodified(azure_page, binary):
    assert (
        azure_page.score({"data": [[0] * 64] * 2, "binary": binary}).json()
        == [azure_page.score({"data": [[0] * 64], "binary": True}).json()[0]] * 2
    )


def test_64_requests_at_once_reach_triton_side_by_side(tensors):
    """With upstream's default of one connection every batch would be of one request."""

    def counted(what: str) -> float:
        return tensors.metric(f'nv_inference_{what}{{model="brief"')

    def post_many(_: int) -> set[int]:
        with requests.Session() as session:
            return {
                session.post(tensors.url + "/score", json={"model": "brief"}, timeout=30).status_code for _ in range(10)
            }

    inferences, executions = counted("count"), counted("exec_count")
    with ThreadPoolExecutor(64) as pool:
        assert set.union(*pool.map(post_many, range(64))) == {200}
    inferences, executions = counted("count") - inferences, counted("exec_count") - executions
    assert inferences == 640
    assert inferences / executions >= 4, f"{inferences} inferences in {executions} executions"


def test_triton_listens_on_loopback_only_and_without_grpc(service):
    """Rows of /proc/net/tcp: local address and port in hexadecimal, state 0A for listening, inode."""
    pids = service.children("tritonserver --")
    inodes = {link.readlink().name for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    listening = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    assert listening == {f"0100007F:{port:04X}" for port in (service.triton_port, service.triton_metrics_port)}


def test_a_model_without_config_batches_up_to_the_default(service):
    config = requests.get(service.triton_url + "/v2/models/digits/config", timeout=5).json()
    assert (config["max_batch_size"], "dynamic_batching" in config) == (64, True)


def test_triton_gets_the_settings_meant_for_it(start):
    (grpc_port,) = free_ports(1)
    flags = f"--allow-grpc=true --grpc-address=127.0.0.1 --grpc-port={grpc_port} --id='a name'"
    service = start(TRITON_DEFAULT_MAX_BATCH_SIZE=8, TRITON_EXTRA_ARGS=flags).wait_ready()
    assert requests.get(service.triton_url + "/v2/models/digits/config", timeout=5).json()["max_batch_size"] == 8
    assert requests.get(service.triton_url + "/v2", timeout=5).json()["name"] == "a name"
    socket.create_connection(("127.0.0.1", grpc_port), timeout=5).close()


def test_triton_does_not_interrupt_the_workers(service):
    """Nor do its models' processes, with any of their threads."""

    def policies(name: str) -> set[int]:
        """Scheduling policies of all threads of the processes with this name; a thread may have just ended."""
        found = set()
        for pid in service.children(name):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(ProcessLookupError):
                    found.add(os.sched_getscheduler(int(thread.name)))
        return found

    assert policies("tritonserver --") == policies("triton_python_backend_stub") == {os.SCHED_BATCH}
    assert policies("gunicorn") == {os.SCHED_OTHER}


def test_what_changes_in_the_repository_takes_nothing_away(start, tmp_path):
    """A new version; a model that cannot be loaded; and, while that is there, a worker that takes another's place."""
    models = tmp_path / "triton"
    shutil.copytree(ROOT / "models" / "triton" / "digits", models / "digits")
    flags = "--model-control-mode=poll --repository-poll-secs=1"
    service = start(MODEL_DIR=tmp_path, TRITON_EXTRA_ARGS=flags).wait_ready()
    request = json.loads((ROOT / "examples/digits/request.json").read_text())

    def state(model: str, version: str) -> str:
        index = requests.post(service.triton_url + "/v2/repository/index", timeout=5).json()
        found = [each["state"] for each in index if (each["name"], each.get("version")) == (model, version)]
        return found[0] if found else ""

    def is_ready() -> bool:
        reply = requests.get(service.url + "/health/ready", timeout=5)
        return (reply.status_code, reply.json()) == (200, {"status": "ready"})

    shutil.copytree(models / "digits" / "1", models / "digits" / "2")
    wait_until(lambda: state("digits", "1") == "UNAVAILABLE", 30, "version 2 has replaced version 1", service.log)
    assert is_ready()

    shutil.copytree(models / "digits", tmp_path / "broken")
    (tmp_path / "broken" / "2" / "model.onnx").write_text("not a graph")
    (tmp_path / "broken").rename(models / "broken")
    wait_until(lambda: state("broken", "2") == "UNAVAILABLE", 30, "Triton has tried to load it", service.log)
    assert is_ready()

    _master, worker = service.children("gunicorn")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in service.children("gunicorn"), 10, "the worker has gone", service.log)
    wait_until(lambda: service.score(request).ok, 30, "another worker has taken its place", service.log)


def test_what_a_killed_service_left_is_removed_by_its_successor(start):
    first = start().wait_ready()
    instance = first.directory.name

    def regions() -> set[Path]:
        return set(Path("/dev/shm").glob(f"{instance}-*"))

    for pid in [first.process.pid, *descendants(first.process.pid)]:
        with contextlib.suppress(ProcessLookupError):  # it has died with its parent
            os.kill(pid, signal.SIGKILL)
    first.process.wait()
    (left_file := Path(tempfile.gettempdir(), instance, "left")).touch()
    left = regions()
    assert left
    second = start(PORT=first.port).wait_ready()
    assert not left & regions()
    assert not left_file.exists()
    assert second.stop() == 0
    assert not regions()
    assert not left_file.parent.exists()


def test_the_old_clients_deprecation_warning_stays_out_of_the_log(azure_page):
    assert "deprecat" not in azure_page.log.read_text().replace("'--strict-model-config' has been deprecated", "")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        pytest.param({"model": "unheard"}, ["unheard"], id="model"),
        pytest.param(
            {"name": "picture"}, ["'digits' takes image FP32 [-1, 64]", "sent picture FP32 [1, 64]"], id="name"
        ),
        pytest.param({"shape": [1, 63]}, ["'digits' takes image FP32 [-1, 64]", "sent image FP32 [1, 63]"], id="shape"),
        pytest.param(
            {"dtype": "int64"}, ["'digits' takes image FP32 [-1, 64]", "sent image INT64 [1, 64]"], id="dtype"
        ),
        pytest.param({"shape": [65, 64]}, ["batch-size must be <= 64", "sent image FP32 [65, 64]"], id="batch size"),
        pytest.param(
            {"dtype": "float64", "declared": [[1, 64], "FP32"]}, ["Input 'image'", "FP64", "FP32"], id="client's dtype"
        ),
        pytest.param({"declared": [[2, 64], "FP32"]}, ["Input 'image'", "[1, 64]", "[2, 64]"], id="client's shape"),
    ],
)
def test_a_tensor_that_does_not_fit_is_the_callers_fault_and_explained(tensors, asked, says):
    reply = tensors.score(asked)
    assert (reply.status_code, reply.json()["code"]) == (400, "triton_refused")
    assert [part for part in says if part not in reply.json()["message"]] == []


def test_a_name_that_a_caller_chose_has_nothing_killed(tensors):
    before = tensors.children("tritonserver --")
    reply = tensors.score({"model": "Stub process 'x' is not healthy."})
    assert (reply.status_code, reply.json()["code"]) == (400, "triton_refused")
    reply = tensors.score({"name": "Stub process 'x' is not healthy."})
    assert (reply.status_code, reply.json()["code"]) == (400, "triton_refused")
    assert tensors.score({}).json() == [1, 10]
    assert tensors.children("tritonserver --") == before


def test_an_output_that_there_is_not_is_none_and_the_log_lists_those_that_there_are(tensors):
    assert tensors.score({"output": "probability"}).json() == {}
    tensors.wait_log("as_numpy('probability') is None: model 'digits' has answered with these outputs: 'probabilities'")


def test_a_script_can_catch_what_upstreams_client_raises(tensors):
    assert tensors.score({"shape": [1, 63], "catch": "refused"}).json().startswith("caught ")
    assert tensors.score({"model": "raises", "catch": "refused"}).json().startswith("caught ")
    assert tensors.score({"model": "slow", "catch": "late"}).json().startswith("caught ")


def test_a_model_that_raises_is_502_and_its_traceback_in_the_log_alone(tensors):
    reply = tensors.score({"model": "raises"})
    assert (reply.status_code, reply.json()["code"]) == (502, "triton_failed")
    assert "secret of the model" not in reply.text
    tensors.wait_log("secret of the model")


def test_a_model_that_answers_too_late_is_504(tensors):
    reply = tensors.score({"model": "slow", "timeout": 0.2})
    assert (reply.status_code, reply.json()["code"]) == (504, "triton_timeout")


def test_probes_are_answered_while_a_request_waits_for_triton(tensors):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tensors.score, {"model": "slow"})
        wait_until(lambda: tensors.metric("scoregate_requests_in_flight") == 1, 5, "the request is in flight")
        assert requests.get(tensors.url + "/health/ready", timeout=1).status_code == 200
        assert not waiting.done()
        assert waiting.result().status_code == 200


def test_a_killed_triton_is_503_with_retry_after_until_it_is_back(tensors):
    (pid,) = tensors.children("tritonserver --")
    os.kill(pid, signal.SIGKILL)
    reply = wait_until(lambda: [r for r in [tensors.score({})] if r.status_code != 200], 5, "a failure")[0]
    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (503, "triton_unavailable", "2")
    assert tensors.score({"catch": "unreachable"}).json().startswith("caught ")
    reply = requests.get(tensors.url + "/health/ready", timeout=5)
    assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")
    assert requests.get(tensors.url + "/health/live", timeout=5).status_code == 200
    assert "scoregate_triton_up 0.0" in requests.get(tensors.url + "/metrics", timeout=5).text
    tensors.wait_ready()
    assert tensors.score({}).json() == [1, 10]
    assert "scoregate_triton_up 1.0" in requests.get(tensors.url + "/metrics", timeout=5).text


def test_an_idle_connection_does_not_hold_up_the_stop(tensors):
    """Gunicorn would wait graceful_timeout, 30 s, for it."""
    with requests.Session() as idle:
        assert idle.get(tensors.url + "/", timeout=5).text == "Healthy"
        assert tensors.stop(deadline_s=20) == 0
