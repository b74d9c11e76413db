"""A fitted scikit-learn network as ONNX, the form in which Triton serves it."""

from pathlib import Path

import numpy as np
import onnxruntime
import sklearn
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from sklearn.pipeline import Pipeline


def to_onnx(pipeline: Pipeline, input_name: str) -> ModelProto:
    """Write StandardScaler + MLPClassifier as one graph: raw values FP32 [batch, features] in, probabilities out.

    The scaling is part of the graph, so that a caller sends what was measured and cannot scale it wrongly.
    """
    scaler, mlp = (step for _, step in pipeline.steps)
    if (mlp.activation, mlp.out_activation_) != ("relu", "softmax"):
        raise ValueError(f"This writes relu and softmax only, not {mlp.activation} and {mlp.out_activation_}.")

    constants = {"mean": scaler.mean_, "scale": scaler.scale_}
    nodes = [
        helper.make_node("Sub", [input_name, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["layer0"]),
    ]
    for i, (weight, bias) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True), start=1):
        constants |= {f"weight{i}": weight, f"bias{i}": bias}
        last = i == len(mlp.coefs_)
        nodes += [
            helper.make_node("Gemm", [f"layer{i - 1}", f"weight{i}", f"bias{i}"], [f"sum{i}"]),
            helper.make_node("Softmax" if last else "Relu", [f"sum{i}"], ["probabilities" if last else f"layer{i}"]),
        ]

    # A first dimension with a name instead of a number is what lets Triton put several requests into one batch.
    features, classes = len(scaler.mean_), len(mlp.classes_)
    graph = helper.make_graph(
        nodes,
        "mlp",
        inputs=[helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["batch", features])],
        outputs=[helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", classes])],
        initializer=[numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    # The newest onnx writes formats that an older Triton refuses; opset 17 and IR 8 are of 2022.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model


def measure(model: Path, pipeline: Pipeline, test_x: np.ndarray, test_y: np.ndarray) -> dict:
    """The held-out accuracy of the file that Triton loads, after a check that it answers as the pipeline does."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (model_input,) = session.get_inputs()
    (probabilities,) = session.run(["probabilities"], {model_input.name: test_x.astype(np.float32)})
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(test_x), atol=1e-5)

    right = probabilities.argmax(axis=1) == test_y
    return {
        "held_out": len(test_y),
        "correct": int(right.sum()),
        "accuracy": round(float(right.mean()), 4),
        "scikit-learn": sklearn.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
