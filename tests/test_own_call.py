"""The service's own small call: Body and TritonModel, on a real Triton."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import requests
from service import ROOT, SCENARIOS, wait_until

DIGITS = ROOT / "models/triton/digits/1/model.onnx"
ECHO = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "data", "data_type": "TYPE_NAME", "dims": [-1]})
        config.add_output({"name": "echo", "data_type": "TYPE_NAME", "dims": [-1]})
        config.set_max_batch_size(0)
        return config

    def execute(self, requests):
        given = [pb_utils.get_input_tensor_by_name(each, "data").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("echo", each)]) for each in given]
"""


@pytest.fixture(scope="module")
def own_call(start_module, tmp_path_factory):
    models = tmp_path_factory.mktemp("models") / "triton"
    (models / "digits" / "1").mkdir(parents=True)
    (models / "digits" / "1" / "model.onnx").symlink_to(DIGITS)
    for name, data_type in {"strings": "TYPE_STRING", "integers": "TYPE_INT32"}.items():
        (models / name / "1").mkdir(parents=True)
        (models / name / "1" / "model.py").write_text(ECHO.replace("TYPE_NAME", data_type))
    return start_module(APP_ROOT=SCENARIOS / "own_call", MODEL_DIR=models.parent).wait_ready()


@pytest.fixture(scope="module")
def images():
    """16 images, and what ONNX Runtime itself says of them: float32 [16, 64] and [16, 10]."""
    drawn = np.random.default_rng(0).integers(0, 17, (16, 64)).astype(np.float32)
    return drawn, onnxruntime.InferenceSession(DIGITS).run(["probabilities"], {"image": drawn})[0]


def test_json_and_raw_bytes_give_what_onnx_runtime_gives(own_call, images):
    drawn, expected = images
    from_json = own_call.score({"do": "digits", "data": drawn.tolist()})
    np.testing.assert_allclose(np.array(from_json.json()), expected, rtol=1e-5, atol=1e-6)
    raw = own_call.score(drawn.tobytes(), headers={"Content-Type": "application/octet-stream"})
    assert raw.headers["Content-Type"] == "application/octet-stream"
    np.testing.assert_allclose(np.frombuffer(raw.content, "<f4").reshape(-1, 10), expected, rtol=1e-5, atol=1e-6)


def test_callers_side_by_side_get_their_own_answers(own_call, images):
    drawn, expected = images
    counted = own_call.metric('nv_inference_exec_count{model="digits"')
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: own_call.score(drawn[i % 16].tobytes()).content, range(640)))
    for number, answer in enumerate(answers):
        np.testing.assert_allclose(np.frombuffer(answer, "<f4"), expected[number % 16], rtol=1e-5, atol=1e-6)
    assert own_call.metric('nv_inference_exec_count{model="digits"') - counted < 640, "Triton has not batched"


@pytest.mark.parametrize(
    ("model", "data"), [("strings", ["one", "zwölf", ""]), ("strings", []), ("integers", [1, -2, 2**31 - 1])]
)
def test_strings_and_integers_come_back(own_call, model, data):
    assert own_call.score({"do": "echo", "model": model, "data": data}).json() == data


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"do": "digits", "data": [[1.0] * 63]}, "takes FP32 [-1, 64]. The request gave float32 [1, 63]."),
        ({"do": "digits", "data": [1.0] * 64}, "The request gave float32 [64]."),
        ({"do": "digits", "data": [[1, 2], [3]]}, "The member 'data' is no array"),
        ({"do": "digits", "data": ["x"]}, "The member 'data' holds something that is no float32."),
        ({"do": "digits", "data": {"a": 1}}, "The member 'data' holds something that is no float32."),
        ({"do": "digits"}, "The body has no member 'data'."),
        ({"do": "echo", "model": "integers", "data": [2**31]}, "numbers from 2147483648 to 2147483648"),
        ({"do": "echo", "model": "integers", "data": [0.5]}, "takes INT32 [-1]. The request gave float64 [1]."),
    ],
)
def test_what_does_not_fit_is_the_callers_fault_and_explained(own_call, asked, says):
    reply = own_call.score(asked)
    assert reply.status_code == 400
    assert says in reply.json()["message"]


@pytest.mark.parametrize(
    ("body", "says"), [(b"{", "The body is not JSON"), (b"x" * 5, "5 bytes, which are no float32")]
)
def test_a_body_of_another_form_is_the_callers_fault(own_call, body, says):
    reply = own_call.score(body)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")
    assert says in reply.json()["message"]


@pytest.mark.parametrize("names", [[], ["picture"], ["image", "picture"]])
def test_names_that_are_not_the_models_are_the_scripts_fault(own_call, names):
    assert own_call.score({"do": "names", "names": names}).json()["code"] == "script_failed"
    says = f"digits takes image; the call gave {', '.join(names) or 'nothing'}."
    own_call.wait_log(says)


def test_a_model_that_is_not_there_is_told_by_its_name(own_call):
    reply = own_call.score({"do": "unknown model"})
    assert reply.status_code == 400
    assert "unknown" in reply.json()["message"]


def test_a_thread_of_the_systems_may_call(own_call):
    """Upstream's client hangs there."""
    asked = {"do": "thread", "data": [[0.0] * 64] * 3}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: own_call.score(asked).json(), range(32)))
    assert answers == [[True, 3, 10]] * 32


def test_connections_that_triton_closed_are_not_used_again(own_call, images):
    drawn, _ = images
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: own_call.score(drawn[:1].tobytes()), range(64)))
    for pid in own_call.children("tritonserver"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: requests.get(own_call.url + "/health/ready", timeout=5).status_code == 503, 30, "unready")
    assert own_call.score(drawn[:1].tobytes()).status_code == 503
    own_call.wait_ready()
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: own_call.score(drawn[:1].tobytes()), range(64)))
    assert {reply.status_code for reply in replies} == {200}


def test_a_get_gives_the_query_as_json(own_call):
    row = json.dumps([[0] * 64])
    assert requests.get(own_call.url + "/score", {"do": "digits", "data": row}, timeout=10).status_code == 200


def test_a_script_that_makes_its_client_in_run_finds_connections_open(start, tmp_path):
    (tmp_path / "score.py").write_text(
        "import tritonclient.http\n"
        "def init(): pass\n"
        "def run(data):\n"
        "    with tritonclient.http.InferenceServerClient('localhost:8000') as client:\n"
        "        return client.get_model_metadata('digits')['name']\n"
    )
    service = start(ENTRY_SCRIPT=tmp_path / "score.py").wait_ready()

    for _ in range(30):
        assert service.score("").json() == "digits"
    # Both ends of each connection, also of those that were closed within the last minute.
    ends = Path("/proc/net/tcp").read_text().count(f":{service.triton_port:04X} ")
    assert ends < 20
