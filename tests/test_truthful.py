"""Readiness tells the truth of a Triton that calls models ready whose processes are dead, or that hangs."""

import json
import os
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from service import ROOT, SCENARIOS, Service, command_line, wait_until

# Writes a line for each request, then answers as told, unless it is told to hang.
MODEL = """
import os
import time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        with open(FILE, "a") as file:
            file.write("asked\\n")
        while os.path.exists(FILE + "-hangs"):
            time.sleep(0.1)
        if RAISES:
            raise ValueError("zeros are no input for me")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", each.inputs()[0].as_numpy())]) for each in requests]
"""
CONFIG = """
backend: "python"
max_batch_size: 0
input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
"""

ENSEMBLE = """
platform: "ensemble"
max_batch_size: 0
input [{ name: "x", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [-1] }]
ensemble_scheduling { step [{
    model_name: "plain", model_version: -1
    input_map { key: "x", value: "x" }, output_map { key: "y", value: "y" }
}] }
"""


@pytest.fixture(scope="module")
def probed(start_module, tmp_path_factory):
    """Serves digits, a model that opts out, one for which zeros are no input, and two that take anything.

    Of these, one is all of an ensemble, and the other's name is such that tritonclient cannot ask Triton for it.
    """
    root = tmp_path_factory.mktemp("probed")
    for name in ("a,b", "shy", "picky", "plain"):
        (root / "triton" / name / "1").mkdir(parents=True)
        code = MODEL.replace("FILE", repr(str(root / name))).replace("RAISES", str(name == "picky"))
        (root / "triton" / name / "1" / "model.py").write_text(code)
        opted_out = 'parameters { key: "READY_PROBE", value { string_value: "off" } }' if name == "shy" else ""
        (root / "triton" / name / "config.pbtxt").write_text(CONFIG + opted_out)
    (root / "triton" / "whole" / "1").mkdir(parents=True)
    (root / "triton" / "whole" / "config.pbtxt").write_text(ENSEMBLE)
    (root / "triton" / "digits").symlink_to(ROOT / "models/triton/digits")
    service = start_module(
        APP_ROOT=SCENARIOS / "tensors", MODEL_DIR=root, READY_PROBE_SECONDS=1, WORKER_COUNT=2
    ).wait_ready()
    service.root = root
    return service


def readiness(service: Service) -> tuple[int, str]:
    reply = requests.get(service.url + "/health/ready", timeout=10)
    return reply.status_code, reply.json().get("message", "")


def asked(service: Service, model: str) -> int:
    file = service.root / model
    return len(file.read_text().splitlines()) if file.exists() else 0


def triton(service: Service) -> set[int]:
    return {pid for pid in service.children("--model-repository") if "supervisord" not in command_line(pid)}


def test_models_are_asked_unless_they_opt_out_or_fail_with_zeros(probed):
    wait_until(lambda: asked(probed, "plain") >= 3, 20, "three rounds", probed.log)
    assert asked(probed, "shy") == 0
    assert asked(probed, "picky") == 1
    assert "'picky' cannot be probed, it fails with zeros" in probed.log.read_text()
    assert readiness(probed) == (200, "")


@pytest.mark.parametrize(
    ("model", "instance", "sent"),
    [
        ("plain", 0, signal.SIGKILL),
        ("plain", 0, signal.SIGSTOP),
        ("digits", 0, signal.SIGKILL),
        ("digits", 1, signal.SIGKILL),
    ],
)
def test_a_dead_or_frozen_stub_takes_readiness_away_and_triton_is_started_anew(probed, model, instance, sent):
    """Without any traffic. Digits has two instances, of which one lives on.

    From the second time on, Triton may not be started anew at once: it is not ready until then, whatever lives on.
    The files' times are as if the clock was set back by an hour since the last time.
    """
    wait_until(lambda: readiness(probed) == (200, ""), 30, "ready", probed.log)
    for file in Path(tempfile.gettempdir(), f"scoregate-{os.getuid()}-{probed.port}").glob("triton*"):
        os.utime(file, (time.time() + 3600,) * 2)
    before = triton(probed)
    stubs = sorted(pid for pid in probed.children("triton_python_backend_stub") if f"/{model}/" in command_line(pid))
    os.kill(stubs[instance], sent)
    wait_until(lambda: readiness(probed)[0] == 503, 30, "not ready", probed.log)
    wait_until(lambda: readiness(probed) == (200, ""), 60, "ready again", probed.log)
    assert not before & triton(probed)
    assert probed.score({}).ok


def test_a_model_that_hangs_takes_readiness_away_and_triton_is_started_anew_once_nobody_waits(probed):
    """It has 30 s for each look, 90 s in all, and as long as there is a request that would wait longer.

    Its process is alive and well. That request, at an ensemble of it, is given up by its caller after 105 s; it was not
    cut.
    """
    wait_until(lambda: readiness(probed) == (200, "") and asked(probed, "plain") > 1, 30, "it has answered", probed.log)
    before = triton(probed)
    gate = probed.root / "plain-hangs"
    gate.touch()
    patient = {"model": "whole", "name": "x", "shape": [1], "timeout": 900}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            requests.post,
            probed.url + "/score",
            json=patient,
            headers={"x-request-timeout-ms": "105000"},
            timeout=200,
        )
        wait_until(lambda: " does not answer: " in readiness(probed)[1], 60, "not ready", probed.log)
        assert waiting.result().json()["code"] == "deadline_exceeded"
    wait_until(lambda: not before & triton(probed), 60, "started anew", probed.log)
    gate.unlink()
    wait_until(lambda: readiness(probed) == (200, ""), 60, "ready again", probed.log)


def test_traffic_finds_a_dead_stub_of_a_model_that_is_not_probed(probed):
    wait_until(lambda: readiness(probed) == (200, ""), 30, "ready", probed.log)
    before = triton(probed)
    for pid in probed.children("triton_python_backend_stub"):
        if "/shy/" in command_line(pid):
            os.kill(pid, signal.SIGKILL)
    assert probed.score({"model": "shy", "name": "x", "shape": [1]}).json()["code"] == "triton_unavailable"
    wait_until(lambda: not before & triton(probed), 30, "started anew", probed.log)


def test_traffic_finds_a_dead_stub_and_is_told_to_try_again(start):
    service = start().wait_ready()  # without probes
    request = json.loads((ROOT / "examples/digits/request.json").read_text())
    for pid in service.children("triton_python_backend_stub"):
        os.kill(pid, signal.SIGKILL)
    reply = service.score(request)
    assert (reply.status_code, reply.json()["code"]) == (503, "triton_unavailable")
    assert "A model's process in Triton has died" in reply.json()["message"]
    assert int(reply.headers["Retry-After"]) > 0
    wait_until(lambda: service.score(request).ok, 60, "answers again", service.log)


def test_a_triton_that_hangs_takes_readiness_away_and_is_started_anew(probed):
    wait_until(lambda: readiness(probed) == (200, ""), 30, "ready", probed.log)
    before = triton(probed)
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: readiness(probed)[0] == 503, 30, "not ready", probed.log)
    wait_until(lambda: readiness(probed) == (200, ""), 60, "ready again", probed.log)
    assert not before & triton(probed)
