"""The onnxruntime backend: whether a model is batched is tried first; nobody gets the rows of others."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LAUNCHER
from onnx import TensorProto, helper
from onnx_models import FLOAT, ONE_INSTANCE, WAIT_FOR_A_BATCH, graph, put, times

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL
WEIGHTS = np.random.default_rng(1).standard_normal((100, 4)).astype(np.float32)


def speech(x_shape=(None, 100, None), y_shape=(None, None, 4), **extra):
    """x[batch, 100, time] to y[time, batch, 4]. untriable: an input i that has to be 5."""
    nodes = [helper.make_node("Transpose", ["x"], ["frames"], perm=[2, 0, 1]), ("MatMul", ["frames", "w"], ["logits"])]
    inputs, weights = {"x": (FLOAT, x_shape)}, {"w": WEIGHTS}
    if extra:
        nodes += [
            ("Sub", ["i", "five"], ["row"]),
            ("Gather", ["zero", "row"], ["bias"]),
            ("Add", ["logits", "bias"], ["y"]),
        ]
        inputs["i"] = (INT64, [None, 1])
        weights |= {"five": np.array(5), "zero": np.zeros(1, np.float32)}
    else:
        nodes[-1] = ("MatMul", ["frames", "w"], ["y"])
    return graph(nodes, inputs, {"y": (FLOAT, y_shape)}, weights)


def frames(x):
    return x.transpose(2, 0, 1) @ WEIGHTS


def centred():
    """y = x less the mean over the batch."""
    nodes = [helper.make_node("ReduceMean", ["x", "axis"], ["mean"]), ("Sub", ["x", "mean"], ["y"])]
    return graph(nodes, {"x": (FLOAT, [None, 3])}, {"y": (FLOAT, [None, 3])}, {"axis": np.array([0])})


def endless():
    """y = x, after a while that nobody waits for."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sin", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("count", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("before", FLOAT, None),
        ],
        [helper.make_tensor_value_info("go_on", BOOL, []), helper.make_tensor_value_info("after", FLOAT, None)],
    )
    nodes = [helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)]
    return graph(nodes, {"x": (FLOAT, [None, 3])}, {"y": (FLOAT, [None, 3])}, {"turns": np.array(1 << 40)})


def accumulator():
    """As in Triton's quickstart: y = x where a sequence starts and the slot is ready, else 0."""
    int32 = TensorProto.INT32
    nodes = [("Mul", ["x", "START"], ["started"]), ("Mul", ["started", "READY"], ["y"])]
    shape = (int32, [None, 1])
    return graph(nodes, {"x": shape, "START": shape, "READY": shape}, {"y": shape})


CONTROL = """{ name: "%s" control [{ kind: CONTROL_SEQUENCE_%s int32_false_true: [0, 1] }] }"""
SEQUENCE = """
max_batch_size: 8
sequence_batching { control_input [ %s, %s ] }
%s
"""
COMPLETE = """
input [{ name: "x" data_type: TYPE_FP32 dims: [100, -1] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [-1, 4] }]
"""
GIVEN = """
input [{ name: "x" data_type: TYPE_INT32 dims: [1] }]
output [{ name: "y" data_type: TYPE_INT32 dims: [1] }]
"""


def advised(repository, model):
    """What the proof for other Tritons says to write into the model's config.pbtxt."""
    command = [sys.executable, LAUNCHER.with_name("prove_batching.py"), repository]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (1, "")
    lines = dict(line.split("/1/model.onnx: ") for line in result.stdout.splitlines())
    verdicts = {Path(path).name: verdict for path, verdict in lines.items()}
    assert verdicts["fixed"].startswith("Triton does not batch it: ")
    assert verdicts["proved"] == "proved, may be batched."
    assert verdicts["untriable"].startswith("not proved: it fails on synthetic rows: ")
    reason, advice = verdicts[model].split(". Write into its config.pbtxt: ")
    assert reason == "must not be batched: output 'y' has shape [32, 1, 4] for 1 row"
    return advice


@pytest.fixture(scope="module")
def triton(tmp_path_factory, new_triton):
    repository = tmp_path_factory.mktemp("repository")
    put(repository, "speech", speech())
    put(repository, "named", speech(["batch", 100, "time"], ["time", "batch", 4]), ONE_INSTANCE)
    # As many rows in a batch as the first dimension of its output is long, if there are two frames.
    put(repository, "own", speech(), WAIT_FOR_A_BATCH % 2 + COMPLETE)
    put(repository, "untriable", speech(untriable=True), ONE_INSTANCE)
    put(repository, "proved", times(2, [None, 3]), ONE_INSTANCE)
    put(repository, "fixed", times(2, [2, 3]), ONE_INSTANCE)
    put(repository, "centred", centred(), ONE_INSTANCE)
    for name, given in (("sequence", ""), ("sequence_given", GIVEN)):
        config = SEQUENCE % (CONTROL % ("START", "START"), CONTROL % ("READY", "READY"), given)
        put(repository, name, accumulator(), ONE_INSTANCE + config)
    advice = advised(repository, "speech")
    put(repository, "advised", speech(), ONE_INSTANCE + advice)
    put(repository, "endless", endless(), ONE_INSTANCE)
    flags = ["--backend-config=default-max-batch-size=64"]
    triton = new_triton(repository, *flags).start().wait_until_live()
    yield triton
    triton.stop()


def said(triton, model):
    return [line for line in triton.log.read_text().splitlines() if line.startswith(f"Model {model!r}")]


def test_every_model_is_ready(triton):
    assert set(triton.index().values()) == {("READY", "")}


@pytest.mark.parametrize("model", ["speech", "named", "own", "untriable", "advised"])
@pytest.mark.parametrize("time", [2, 3])
def test_nobody_gets_the_rows_of_others(triton, model, time):
    random = np.random.default_rng(0)
    sent = [random.standard_normal((1, 100, time), np.float32) for _ in range(64)]
    extra = {"i": np.full((1, 1), 5)} if model == "untriable" else {}
    asked = [triton.ask(model, x=x, **extra) for x in sent]
    for x, one in zip(sent, asked, strict=True):
        np.testing.assert_allclose(triton.answer(one)["y"], frames(x), rtol=1e-4, atol=1e-4)


UNBATCHED = "is not batched: "
UNPROVED = "is batched, though not proved to give each row its own answer: "
WARNED = "its config.pbtxt gives max_batch_size 2, but requests that are run together get wrong answers: "


@pytest.mark.parametrize(
    ("model", "max_batch_size", "why"),
    [
        (
            "speech",
            0,
            UNBATCHED + "output 'y' has shape [32, 1, 4] for 1 row. To batch it all the same, write max_batch",
        ),
        ("named", 0, UNBATCHED + "'batch', an input's first dimension, is dimension 2 of output 'y'. To batch"),
        (
            "centred",
            0,
            UNBATCHED + "output 'y' has other values for rows run together than for the same rows run apart",
        ),
        ("own", 2, WARNED + "output 'y' has shape [32, 1, 4] for 1 row. Leave max_batch_size out."),
        ("untriable", 64, UNPROVED + "it fails on synthetic rows: "),
        ("endless", 64, UNPROVED + "6 runs on synthetic rows take longer than 5 s"),
    ],
)
def test_one_line_says_why(triton, model, max_batch_size, why):
    assert triton.config(model)["max_batch_size"] == max_batch_size
    (line,) = said(triton, model)
    assert why in line


def test_without_onnxruntime_or_a_model_nothing_is_proved(tmp_path):
    command = [LAUNCHER.with_name("prove_batching.py"), tmp_path]
    for flags, words in (["-S"], "pip install onnxruntime"), ([], "Name a model repository"):  # -S: no site-packages
        result = subprocess.run([sys.executable, *flags, *command], capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stdout) == (2, "")
        assert words in result.stderr


def test_nothing_is_said_of_a_model_that_needs_no_proof_or_has_one(triton):
    sizes = {model: triton.config(model)["max_batch_size"] for model in ("proved", "fixed", "advised")}
    assert sizes == {"proved": 64, "fixed": 0, "advised": 0}
    assert [line for model in sizes for line in said(triton, model)] == []


@pytest.mark.parametrize("model", ["sequence", "sequence_given"])
def test_the_control_inputs_of_a_sequence_are_tritons(triton, model):
    assert said(triton, model) == []
    assert [entry["name"] for entry in triton.config(model)["input"]] == ["x"]
    request = {"inputs": [{"name": "x", "datatype": "INT32", "shape": [1, 1], "data": [7]}]}
    answers = []
    for start in (True, False):
        request["parameters"] = {"sequence_id": 1, "sequence_start": start, "sequence_end": not start}
        reply = triton.http.post(f"{triton.url}/v2/models/{model}/infer", json=request, timeout=10)
        answers.append(reply.json()["outputs"][0]["data"])
    assert answers == [[7], [0]]
