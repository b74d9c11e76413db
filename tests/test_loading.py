"""Models that a script has Triton load: what that does to readiness, and that they are there after a new start."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from service import SCENARIOS, wait_until

MODEL = """
import os
import time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        open(FILE + "-begun", "w").close()
        while os.path.exists(FILE + "-waits"):
            time.sleep(0.05)
        if BROKEN:
            raise ValueError("broken on purpose")

    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", each.inputs()[0].as_numpy())]) for each in requests]
"""


CONFIG = """
backend: "python"
max_batch_size: 0
input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
"""
DECOUPLED = "model_transaction_policy { decoupled: True }"


def config(instances: int) -> str:
    """The same as JSON, as load_model() takes it."""
    return json.dumps(
        {
            "backend": "python",
            "max_batch_size": 0,
            "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}],
            "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}],
            "instance_group": [{"kind": "KIND_CPU", "count": instances}],
        }
    )


@pytest.fixture(scope="module")
def loading(start_module, tmp_path_factory):
    """A service whose Triton loads nothing by itself; of its models one cannot be loaded, one streams."""
    root = tmp_path_factory.mktemp("loading")
    for name in ("echo", "other", "broken", "stream"):
        (root / "triton" / name / "1").mkdir(parents=True)
        code = MODEL.replace("FILE", repr(str(root / name))).replace("BROKEN", str(name == "broken"))
        (root / "triton" / name / "1" / "model.py").write_text(code)
        (root / "triton" / name / "config.pbtxt").write_text(CONFIG + DECOUPLED * (name == "stream"))
    flags = "--model-control-mode=explicit"
    service = start_module(APP_ROOT=SCENARIOS / "loads", MODEL_DIR=root, TRITON_EXTRA_ARGS=flags).wait_ready()
    service.root = root
    return service


def states(service):
    index = requests.post(service.triton_url + "/v2/repository/index", timeout=5).json()
    return {each["name"]: each.get("state") for each in index}


def is_ready(service):
    return requests.get(service.url + "/health/ready", timeout=5).status_code == 200


@pytest.mark.parametrize("model", ["nosuch", "broken"])
def test_a_model_that_cannot_be_loaded_is_400_and_takes_nothing_away(loading, model):
    reply = loading.score({"do": "load", "model": model})
    assert (reply.status_code, reply.json()["code"]) == (400, "triton_refused")
    assert model in reply.json()["message"]
    assert is_ready(loading)


def test_one_that_is_being_loaded_takes_nothing_away(loading):
    gate, begun = loading.root / "echo-waits", loading.root / "echo-begun"
    gate.touch()
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(loading.score, {"do": "load", "model": "echo"})
        wait_until(begun.exists, 20, "it is being loaded", loading.log)
        assert states(loading)["echo"] == "LOADING"
        assert is_ready(loading)
        gate.unlink()
        assert request.result().status_code == 200
    assert loading.score({"do": "ask", "model": "echo"}).json() == [1.0, 1]


def test_a_model_that_streams_is_501_with_tritons_sentence(loading):
    assert loading.score({"do": "load", "model": "stream"}).ok
    reply = loading.score({"do": "ask", "model": "stream"})
    assert (reply.status_code, reply.json()["code"]) == (501, "triton_unsupported")
    assert "doesn't support models with decoupled transaction policy" in reply.json()["message"]
    assert loading.score({"do": "unload", "model": "stream"}).ok


def test_one_that_was_unloaded_takes_nothing_away(loading):
    assert loading.score({"do": "load", "model": "other"}).ok
    assert loading.score({"do": "ask", "model": "other"}).json() == [1.0, 1]
    assert loading.score({"do": "unload", "model": "other"}).ok
    wait_until(lambda: states(loading)["other"] == "UNAVAILABLE", 20, "unloaded", loading.log)
    assert is_ready(loading)


def test_what_scripts_had_loaded_is_loaded_again_before_the_service_is_ready(loading):
    """As they had it loaded: from the repository, with another config, from files of their own."""
    files = {"1/model.py": str(loading.root / "triton/echo/1/model.py")}
    for asked in (
        {"model": "echo", "config": config(instances=2)},
        {"model": "given", "config": config(instances=3), "files": files},
    ):
        assert loading.score({"do": "load", **asked}).ok
    wanted = {"echo": [1.0, 2], "given": [1.0, 3]}

    def answers():
        return {model: loading.score({"do": "ask", "model": model}).json() for model in wanted}

    assert answers() == wanted
    assert is_ready(loading)
    (triton,) = loading.children("tritonserver --")
    os.kill(triton, signal.SIGKILL)
    assert not is_ready(loading)
    loading.wait_ready()
    assert answers() == wanted
    assert states(loading)["other"] is None
