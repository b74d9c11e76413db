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
KINDS = {
    "strings": "TYPE_STRING",
    "integers": "TYPE_INT32",
    "bytes": "TYPE_UINT8",
    "halves": "TYPE_FP16",
    "booleans": "TYPE_BOOL",
}
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


def deep(depth):
    return [deep(depth - 1)] if depth else 1.0


@pytest.fixture(scope="module")
def own_call(start_module, tmp_path_factory):
    models = tmp_path_factory.mktemp("models") / "triton"
    (models / "digits" / "1").mkdir(parents=True)
    (models / "digits" / "1" / "model.onnx").symlink_to(DIGITS)
    for name, data_type in KINDS.items():
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
    ("model", "data"),
    [
        ("strings", ["one", "zwölf", "", "a\0"]),
        ("strings", []),
        ("integers", [1, -2, 2**31 - 1]),
        ("integers", [1.0, -2, 1e6]),
        ("bytes", [0, 255]),
        ("halves", [1, 0.5, 65504]),
        ("booleans", [True, False]),
    ],
)
def test_values_that_fit_come_back(own_call, model, data):
    assert own_call.score({"do": "echo", "model": model, "data": data}).json() == data


def test_nan_and_infinities_fit_float_types(own_call):
    given = b'{"do": "echo", "model": "halves", "data": [NaN, Infinity, -Infinity, 1]}'
    assert own_call.score(given).json() == [None, None, None, 1.0]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"do": "digits", "data": [[1.0] * 63]}, "takes FP32 [-1, 64]. The request gave float32 [1, 63]."),
        ({"do": "digits", "data": [1.0] * 64}, "The request gave float32 [64]."),
        ({"do": "digits", "data": [[1, 2], [3]]}, "gave a list at [1], of 1 elements where [0] has 2."),
        ({"do": "digits", "data": ["x"]}, "'data' takes float32. The request gave 'x' at [0], which is no number."),
        ({"do": "digits", "data": {"a": 1}}, "The request gave an object, which is no number."),
        ({"do": "digits", "data": [[1, True]]}, "The request gave true at [0, 1], which is no number."),
        ({"do": "digits", "data": [[1e300]]}, "gave 1e+300 at [0, 0], which is out of the range of float32."),
        ({"do": "digits", "data": deep(33)}, "which is more than 32 lists deep."),
        ({"do": "digits"}, "The body has no member 'data'."),
    ]
    + [
        ({"do": "echo", "model": model, "data": data}, f"takes {datatype} [-1]. The request gave {misfit}.")
        for model, datatype, data, misfit in [
            ("integers", "INT32", [2**31], "2147483648 at [0], which is out of the range of int32"),
            ("integers", "INT32", [1, 0.5], "0.5 at [1], which is no whole number"),
            ("integers", "INT32", [1, True], "true at [1], which is no number"),
            ("integers", "INT32", [[1], [2, 3]], "a list at [1], of 2 elements where [0] has 1"),
            ("integers", "INT32", [1, "2"], "'2' at [1], which is no number"),
            ("integers", "INT32", deep(33), f"a list at {[0] * 32}, which is more than 32 lists deep"),
            ("bytes", "UINT8", [1, 256], "256 at [1], which is out of the range of uint8"),
            ("halves", "FP16", [1, 1e6], "1000000 at [1], which is out of the range of float16"),
            ("booleans", "BOOL", [True, 1], "1 at [1], which is no boolean"),
            ("strings", "BYTES", ["a", None], "null at [1], which is no text"),
            ("strings", "BYTES", ["a", 1], "1 at [1], which is no text"),
            ("strings", "BYTES", ["a", "\ud800"], "'\\ud800' at [1], which has half of a surrogate pair"),
        ]
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
