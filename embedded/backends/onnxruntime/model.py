"""Triton's ONNX Runtime backend for the pip wheel, which has none: a Python-based backend over pip's onnxruntime."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from cores import core_count
from model_signature import CannotServe, Signature, Tensor
from onnxruntime import InferenceSession, NodeArg, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state
from served_model import Array, BadInput, ServedModel, default_max_batch_size, model_path

DATA_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}
# ONNX Runtime's errors have no class in common.
ONNXRUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(onnxruntime_pybind11_state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)


class TritonPythonModel:
    """One instance of one ONNX model; the name and the methods are those Triton looks for."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        """Complete the config from the ONNX file."""
        # In place: ModelConfig's add_input and add_output refuse the `reshape` that a batched vector needs.
        config = auto_complete_model_config.as_dict()
        _signature(config["name"], _load(config)).complete(config, default_max_batch_size())
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; raises CannotServe if it cannot be loaded or contradicts its config."""
        config = json.loads(args["model_config"])
        self.session = _load(config)
        signature = _signature(config["name"], self.session)
        signature.check(config)
        self.model = ServedModel(config, signature, self._run, (*ONNXRUNTIME_ERRORS, RuntimeError))

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton batched."""
        return self.model.answer(requests)

    def _run(self, names: list[str], feed: dict[str, Array]) -> list[Array]:
        texts = {name: _text(name, array) for name, array in feed.items() if array.dtype == object}
        return self.session.run(names, feed | texts)


def _text(name: str, array: Array) -> Array:
    # ONNX Runtime's Python interface takes no bytes.
    try:
        return np.array([value.decode() for value in array.flat], dtype=object).reshape(array.shape)
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r} holds a string that is not UTF-8: {error}") from error


def _load(config: dict[str, Any]) -> InferenceSession:
    options = SessionOptions()
    options.log_severity_level = 4  # its errors are raised too, and Triton logs or answers them
    # Idle threads that spin for the next operator take the processors that Gunicorn's workers need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Left to itself, ONNX Runtime counts the cores of the machine and binds a thread to each, to those that it may not
    # use as well; a thread so bound waits for a worker on its core while another core is free.
    options.intra_op_num_threads = _thread_count(config, "intra_op_thread_count") or core_count()
    options.inter_op_num_threads = _thread_count(config, "inter_op_thread_count")
    path = model_path()
    if path.is_dir():  # the weights lie beside it
        path /= "model.onnx"
    try:
        return InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ONNXRUNTIME_ERRORS as error:
        raise CannotServe(f"model {config['name']!r}: ONNX Runtime cannot load {path}: {error}") from error


def _thread_count(config: dict[str, Any], parameter: str) -> int:
    value = config["parameters"].get(parameter, {"string_value": "0"})["string_value"]
    if not value.isdecimal():
        raise CannotServe(f"model {config['name']!r}: parameter {parameter} is {value!r}, which is not a count.")
    return int(value)


def _signature(model: str, session: InferenceSession) -> Signature:
    return Signature(
        model,
        _tensors(model, "input", session.get_inputs()),
        _tensors(model, "output", session.get_outputs()),
        _tensors(model, "input", session.get_overridable_initializers()),
    )


def _tensors(model: str, kind: str, nodes: list[NodeArg]) -> dict[str, Tensor]:
    for node in nodes:
        if node.type not in DATA_TYPES:
            raise CannotServe(
                f"model {model!r}: {kind} {node.name!r} is a {node.type}, which Triton cannot serve. "
                f"Export the model with tensors of numbers, booleans or strings."
            )
    return {
        node.name: Tensor(
            DATA_TYPES[node.type], tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape)
        )
        for node in nodes
    }
