"""The models: digits of this repository, a CNN that makes the model the larger part, and a mean of any input."""

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .venvs import BENCH

BUILD = BENCH / "build" / "models"
DIGITS = BENCH.parent / "models" / "triton" / "digits"
MID_SHAPE = (1, 3, 64, 64)
# (channels, stride) of each 3 x 3 convolution: 117 million multiplications an image, about 5 ms on one core.
MID_LAYERS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1))


def model_directory(model: str) -> Path:
    """Give the MODEL_DIR whose triton/ is a repository of that one model; made if it is not there.

    One model each: no row pays for a model that it is not asked for. digits and mid have the input "image" and the
    output "probabilities", [batch, 10] float32; mean has the input "numbers", [-1] float32, and the output "mean", [1].
    """
    directory = BUILD / model
    path = directory / "triton" / model / "1" / "model.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True)
        if model == "digits":
            shutil.copy(DIGITS / "1" / "model.onnx", path)
        else:
            onnx.save({"mid": mid, "mean": mean}[model](), path)
    return directory


def mid() -> onnx.ModelProto:
    """Make the CNN with random weights: "image" is [batch, 3, 64, 64] float32."""
    random = np.random.default_rng(0)
    nodes, weights = [], []

    def weight(name: str, *shape: int) -> str:
        scale = (2 / np.prod(shape[1:])) ** 0.5  # He: the signal neither dies nor explodes
        weights.append(numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name))
        return name

    last, channels = "image", MID_SHAPE[1]
    for number, (out, stride) in enumerate(MID_LAYERS):
        kernel = weight(f"kernel{number}", out, channels, 3, 3)
        nodes.append(
            helper.make_node("Conv", [last, kernel], [f"conv{number}"], pads=[1] * 4, strides=[stride, stride])
        )
        nodes.append(helper.make_node("Relu", [f"conv{number}"], [f"layer{number}"]))
        last, channels = f"layer{number}", out
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", weight("dense", 10, channels)], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return _model(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *MID_SHAPE[1:]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )


def mean() -> onnx.ModelProto:
    """Make the model that costs nothing, however large its input is."""
    return _model(
        [helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[0], keepdims=1)],
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["count"])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1])],
        [],
    )


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "model", inputs, outputs, weights)
    # Versions that older ONNX Runtimes read, too.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
