"""The onnxruntime backend: models that cannot be served say why, and keep no other from being served."""

import pytest
from onnx import TensorProto, helper
from onnx_models import FLOAT, ONE_INSTANCE, graph, put, times

CONFIG = 'max_batch_size: 8 input [{ name: "x" %s }] output [{ name: "%s" data_type: TYPE_FP32 dims: %s }]'


def bfloat16():
    tensor = (TensorProto.BFLOAT16, ["n", 3])
    return graph([("Identity", ["x"], ["y"])], {"x": tensor}, {"y": tensor})


def sequence():
    """y is a sequence of tensors, as scikit-learn's classifiers give their probabilities."""
    sequence_type = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["n", 3]))
    model = graph([("SequenceConstruct", ["x"], ["y"])], {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, None)})
    model.graph.output[0].type.CopyFrom(sequence_type)
    return model


REFUSED = {
    "bfloat16": (bfloat16(), "", ["input 'x'", "tensor(bfloat16)", "cannot serve"]),
    "sequence": (sequence(), "", ["output 'y'", "seq(tensor(float))", "cannot serve"]),
    "broken": (b"not ONNX", "", ["ONNX Runtime cannot load", "/broken/1/model.onnx"]),
    "fixed": (times(2, [2, 3]), "max_batch_size: 8", ["max_batch_size 8", "cannot batch"]),
    "type": (
        times(2, ["n", 3]),
        'input [{ name: "x" data_type: TYPE_FP64 dims: [3] }]',
        ["input 'x'", "TYPE_FP64", "TYPE_FP32"],
    ),
    "dims": (times(2, ["n", 3]), CONFIG % ("data_type: TYPE_FP32 dims: [5]", "y", "[3]"), ["'x'", "[5]", "[3]"]),
    "rank": (
        times(2, ["n", 3]),
        CONFIG % ("data_type: TYPE_FP32 dims: [-1, 3]", "y", "[3]"),
        ["'x'", "[-1, 3]", "[3]"],
    ),
    "out_dims": (times(2, ["n", "m"]), CONFIG % ("data_type: TYPE_FP32 dims: [3]", "y", "[3]"), ["'y'", "[3]", "[-1]"]),
    "scalar": (times(2, []), 'input [{ name: "x" dims: [2] }]', ["input 'x'", "[2]", "[]"]),
    "unknown": (times(2, ["n", 3]), CONFIG % ("data_type: TYPE_FP32 dims: [3]", "z", "[3]"), ["output 'z'", "has y"]),
    "reshape": (
        graph([("Squeeze", ["x"], ["y"])], {"x": (FLOAT, ["n", 1])}, {"y": (FLOAT, ["n"])}),
        CONFIG % ("data_type: TYPE_FP32 dims: [1]", "y", "[1]"),
        ["output 'y'", "[1]", "Write: dims: [ 1 ] reshape { shape: [ ] }"],
    ),
    "vector": (
        times(2, ["n"]),
        'output [{ name: "y" data_type: TYPE_FP32 dims: [1] }]',
        ["output 'y'", "[-1]", "Write: dims: [ -1 ]", "max_batch_size and dims: [ 1 ] reshape { shape: [ ] }"],
    ),
    "control": (
        times(2, ["n", 3]),
        "max_batch_size: 8 sequence_batching { control_input [{ name: 'START' control [{ "
        "kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] }] }] }",
        ["control input 'START'", "does not have", "has x"],
    ),
    "left_out": (
        graph([("Add", ["x", "w"], ["y"])], {"x": (FLOAT, ["n"]), "w": (FLOAT, ["n"])}, {"y": (FLOAT, ["n"])}),
        CONFIG % ("data_type: TYPE_FP32 dims: [1] reshape { shape: [] }", "y", "[1] reshape { shape: [] }"),
        ["leaves out", "input 'w'"],
    ),
    "optional": (times(2, ["n", 3]), 'input [{ name: "x" optional: true }]', ["optional", "max_batch_size 0"]),
    "threads": (
        times(2, ["n", 3]),
        'parameters { key: "intra_op_thread_count" value { string_value: "many" } }',
        ["intra_op_thread_count", "'many'"],
    ),
}


@pytest.fixture(scope="module")
def triton(tmp_path_factory, new_triton):
    repository = tmp_path_factory.mktemp("repository")
    put(repository, "good", times(2, ["n", 3]), ONE_INSTANCE)
    for name, (model, config, _) in REFUSED.items():
        put(repository, name, model, ONE_INSTANCE + config)
    return new_triton(repository).start().wait_until_live()


@pytest.mark.parametrize("model", REFUSED)
def test_a_model_that_cannot_be_served_says_why(triton, model):
    state, reason = triton.index()[model]
    sentence = reason.partition("\n\nAt:\n")[0]
    assert state == "UNAVAILABLE"
    assert sentence.startswith(f"Internal: CannotServe: model {model!r}: ")
    assert "\n" not in sentence
    for word in REFUSED[model][2]:
        assert word in sentence


def test_the_others_are_served_but_triton_is_not_ready(triton):
    assert triton.index()["good"] == ("READY", "")
    assert triton.http.get(f"{triton.url}/v2/models/good/ready", timeout=5).status_code == 200
    assert triton.http.get(f"{triton.url}/v2/health/live", timeout=5).status_code == 200
    assert triton.http.get(f"{triton.url}/v2/health/ready", timeout=5).status_code == 400


def test_without_a_flag_the_default_batch_size_is_tritons(triton):
    assert triton.config("good")["max_batch_size"] == 4
