"""Small ONNX models, and how to put them into a model repository."""

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper, save_model
from onnx.external_data_helper import convert_model_to_external_data

FLOAT = TensorProto.FLOAT
ONE_INSTANCE = "instance_group [{ count: 1 }]\n"  # Triton's default for ONNX on the CPU is 2
# A run waits until it has max_batch_size rows, or for 0.5 s.
WAIT_FOR_A_BATCH = ONE_INSTANCE + "max_batch_size: %d dynamic_batching { max_queue_delay_microseconds: 500000 }"


def graph(nodes, inputs, outputs, weights=None, overridable=()):
    """An ONNX model. nodes: made ones, or what makes one; inputs, outputs: name to (element type, shape); weights: name
    to array."""
    weights = weights or {}
    values = [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()]
    values += [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(weights[name].dtype), weights[name].shape)
        for name in overridable
    ]
    return helper.make_model(
        helper.make_graph(
            [node if isinstance(node, NodeProto) else helper.make_node(*node) for node in nodes],
            "test",
            values,
            [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )


def times(factor, shape):
    """y = x * factor"""
    tensor = (FLOAT, shape)
    return graph([("Mul", ["x", "factor"], ["y"])], {"x": tensor}, {"y": tensor}, {"factor": np.float32(factor)})


def put(repository, name, model=None, config="", version=1, file="model.onnx"):
    """Write a model (an ONNX model, or a file's bytes) and its config.pbtxt into the repository."""
    directory = repository / name / str(version)
    directory.mkdir(parents=True)
    if isinstance(model, bytes):
        (directory / file).write_bytes(model)
    elif model is not None:
        save_model(model, directory / file)
    if config:
        (repository / name / "config.pbtxt").write_text(config)


def put_with_external_data(repository, name, model):
    """Write a model whose weights lie beside it: model.onnx is a directory then."""
    directory = repository / name / "1" / "model.onnx"
    directory.mkdir(parents=True)
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    save_model(model, directory / "model.onnx")
