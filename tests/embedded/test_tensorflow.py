"""The tensorflow backend: SavedModels with no config.pbtxt, or part of one; the answers are TensorFlow's own."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LAUNCHER
from onnx_models import ONE_INSTANCE, put, times
from tritonclient.utils import InferenceServerException

ROOT = LAUNCHER.parents[1]
SAVED_MODELS = Path(__file__).with_name("tensorflow_models.py")
# A run waits until it has 32 rows, or for 0.5 s.
WAIT_FOR_A_BATCH = "max_batch_size: 32 dynamic_batching { max_queue_delay_microseconds: 500000 }\n"
CONFIGS = {
    "tensorflow_1": 'platform: "tensorflow_savedmodel"',
    "lookup": WAIT_FOR_A_BATCH,
    "type": 'input [{ name: "x" data_type: TYPE_FP64 dims: [3] }]',
}
REFUSED = {
    "type": ["input 'x'", "TYPE_FP64", "TYPE_FP32"],
    "bfloat16": ["output 'y'", "bfloat16", "cannot serve"],
    "unranked": ["input 'x'", "unknown number of dimensions", "tf.ensure_shape"],
    "broken": ["TensorFlow cannot load", "/broken/1/model.savedmodel"],
    "unsigned": ["/unsigned/1/model.savedmodel", "no signature to serve", "'serving_default'", "one, two"],
}
SERVED = ["network", "tensorflow_1", "keras_2", "dtypes", "lookup", "unbatched", "speech", "centred"]
UNBATCHED = "Model %r is not batched: output 'y' has "
SAID = {
    "speech": UNBATCHED % "speech" + "shape [32, 1, 4] for 1 row.",
    "centred": UNBATCHED % "centred" + "other values for rows run together",
    "counting": "Model 'counting' is batched, though not proved to give each row its own answer: it keeps state",
}


@pytest.fixture(scope="module")
def python(request):
    """A Python with TensorFlow: this one, or one with requirements-tensorflow.txt, kept in pytest's cache."""
    if importlib.util.find_spec("tensorflow"):
        return sys.executable
    files = [ROOT / f"requirements{part}.txt" for part in ("", "-embedded", "-tensorflow")]
    wanted = "\n".join([sys.version, *(file.read_text() for file in files)])
    environment = request.config.cache.mkdir("tensorflow")
    python, installed = environment / "bin" / "python", environment / "installed"
    if not installed.is_file() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        for file in files:  # one by one, since pip does not mix those with hashes and those without
            subprocess.run([*pip, f"--requirement={file}"], check=True)
        installed.write_text(wanted)
    return str(python)


@pytest.fixture(scope="module")
def made(tmp_path_factory, python):
    """The model repository, and TensorFlow's answers: model to (inputs, outputs)."""
    directory = tmp_path_factory.mktemp("tensorflow")
    repository, answers = directory / "repository", directory / "answers"
    subprocess.run([python, SAVED_MODELS, repository, answers], check=True, capture_output=True)
    for model in repository.iterdir():
        if model.name != "network":
            (model / "config.pbtxt").write_text(ONE_INSTANCE + CONFIGS.get(model.name, ""))
    put(repository, "onnx", times(2, ["n", 3]), ONE_INSTANCE)
    return repository, pickle.loads(answers.read_bytes())


@pytest.fixture(scope="module")
def triton(made, new_triton, python):
    flags = ["--backend-config=default-max-batch-size=16"]
    triton = new_triton(made[0], *flags, python=python).start().wait_until_live()
    yield triton
    triton.stop()  # each instance holds 0.5 GB


def executions(triton, model):
    return triton.metric("nv_inference_exec_count", model)


def test_an_onnx_model_is_served_beside(triton):
    states = {model: state for model, (state, _) in triton.index().items()}
    assert states == dict.fromkeys([*SERVED, "counting", "onnx"], "READY") | dict.fromkeys(REFUSED, "UNAVAILABLE")
    assert triton.infer("onnx", x=np.ones((1, 3), np.float32))["y"].tolist() == [[2, 2, 2]]


@pytest.mark.parametrize("model", SERVED)
def test_the_answer_is_tensorflows_own(triton, made, model):
    asked, expected = made[1][model]
    # Triton has no empty shape: a scalar is [1], and a batch of N numbers is [N, 1].
    least = 2 if model == "lookup" else 1
    sent = {name: np.asarray(array).reshape(array.shape + (1,) * (least - array.ndim)) for name, array in asked.items()}
    received = triton.infer(model, **sent)
    assert received.keys() == expected.keys()
    for name, array in expected.items():
        shape = array.shape + (1,) * (least - array.ndim)
        np.testing.assert_array_equal(received[name], array.reshape(shape), strict=True)


@pytest.mark.parametrize(
    ("model", "max_batch_size", "inputs", "outputs"),
    [
        ("network", 16, {"image": ("TYPE_FP32", [8, 8, 3])}, {"output_0": ("TYPE_FP32", [10])}),
        ("keras_2", 16, {"x": ("TYPE_FP32", [3])}, {"y": ("TYPE_FP32", [1])}),
        ("counting", 16, {"x": ("TYPE_FP32", [3])}, {"y": ("TYPE_FP32", [3])}),
        ("centred", 0, {"x": ("TYPE_FP32", [-1, 3])}, {"y": ("TYPE_FP32", [-1, 3])}),
        ("tensorflow_1", 16, {"x": ("TYPE_FP32", [3])}, {"y": ("TYPE_FP32", [3])}),
        ("lookup", 32, {"index": ("TYPE_INT64", [1])}, {"y": ("TYPE_FP32", [1]), "negative": ("TYPE_FP32", [1])}),
        (
            "unbatched",
            0,
            {"number": ("TYPE_FP32", [1]), "text": ("TYPE_STRING", [1]), "matrix": ("TYPE_FP32", [2, -1])},
            {"sum": ("TYPE_FP32", [1]), "text": ("TYPE_STRING", [1]), "same": ("TYPE_FP32", [2, -1])},
        ),
    ],
)
def test_the_config_is_completed(triton, model, max_batch_size, inputs, outputs):
    config = triton.config(model)
    assert (config["backend"], config["platform"]) == ("tensorflow", "tensorflow_savedmodel")
    assert config["max_batch_size"] == max_batch_size
    assert ("dynamic_batching" in config) == (max_batch_size > 1)
    for kind, tensors in (("input", inputs), ("output", outputs)):
        assert {entry["name"]: (entry["data_type"], entry["dims"]) for entry in config[kind]} == tensors


def test_one_line_says_why_a_model_is_not_batched_or_not_proved(triton):
    said = [line for line in triton.log.read_text().splitlines() if line.startswith("Model ")]
    assert len(said) == len(SAID)
    for start in SAID.values():
        assert any(line.startswith(start) for line in said)


def test_an_instance_is_a_process(triton):
    assert len(triton.stubs("network/1/")) == 2  # what Triton gives a TensorFlow model on the CPU
    assert len(triton.stubs("lookup/1/")) == 1


@pytest.mark.parametrize("shape", [(3, 2), (2, 0)], ids=str)
def test_every_data_type_comes_back_as_it_was_sent(triton, made, shape):
    sent = {name: np.resize(array, shape) for name, array in made[1]["dtypes"][0].items()}
    received = triton.infer("dtypes", **sent)
    assert len(received) == 13
    for name, array in sent.items():
        np.testing.assert_array_equal(received[name + "_out"], array, strict=True)


def test_requests_of_one_batch_get_the_outputs_that_each_asked_for(triton):
    before = executions(triton, "lookup")
    rows = {"y": [[1], [2]] * 8, "negative": [[3]] * 16}
    asked = [triton.ask("lookup", "", [name], index=np.array(indexes)) for name, indexes in rows.items()]
    answers = [triton.answer(one) for one in asked]
    assert executions(triton, "lookup") - before == 1
    assert [list(answer) for answer in answers] == [["y"], ["negative"]]
    assert answers[0]["y"].tolist() == [[10], [20]] * 8
    assert answers[1]["negative"].tolist() == [[-30]] * 16


def test_a_bad_request_among_good_ones_fails_alone(triton):
    before = executions(triton, "lookup")
    asked = [triton.ask("lookup", index=np.array([[index]])) for index in [1] * 15 + [99] + [2] * 16]
    with pytest.raises(
        InferenceServerException, match=r"(?s)model 'lookup' failed: .*99 is not in \[0, 10\)"
    ) as failure:
        triton.answer(asked.pop(15))
    assert failure.value.status() == "500"
    assert [triton.answer(one)["y"].tolist() for one in asked] == [[[10]]] * 15 + [[[20]]] * 16
    assert executions(triton, "lookup") - before == 1


@pytest.mark.parametrize("model", REFUSED)
def test_a_model_that_cannot_be_served_says_why(triton, model):
    sentence = triton.index()[model][1].partition("\n\nAt:\n")[0]
    assert sentence.startswith(f"Internal: CannotServe: model {model!r}: ")
    assert "\n" not in sentence
    for word in REFUSED[model]:
        assert word in sentence


def test_tensorflow_logs_nothing_of_its_own(triton):
    assert "oneDNN" not in triton.log.read_text()
    assert "tensorflow/core" not in triton.log.read_text()
