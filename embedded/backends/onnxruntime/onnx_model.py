"""One ONNX model in ONNX Runtime; knows nothing of Triton's Python backend, so that it serves outside of it, too."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from cores import core_count
from model_signature import Array, BadInput, CannotServe, Signature, Tensor
from onnxruntime import InferenceSession, NodeArg, RunOptions, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state

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
_ONNXRUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(onnxruntime_pybind11_state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
RUN_ERRORS = (*_ONNXRUNTIME_ERRORS, RuntimeError)


class OnnxModel:
    """A loaded model, and its signature."""

    def __init__(self, model: str, path: Path, intra_op_threads: int = 0, inter_op_threads: int = 0) -> None:
        """Raise CannotServe if ONNX Runtime cannot load the file, or Triton has no word for its tensors."""
        options = SessionOptions()
        options.log_severity_level = 4  # its errors are raised too, and Triton logs or answers them
        # Idle threads that spin for the next operator take the processors that Gunicorn's workers need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Left to itself, ONNX Runtime counts the cores of the machine and binds a thread to each, to those that it may
        # not use as well; a thread so bound waits for a worker on its core while another core is free.
        options.intra_op_num_threads = intra_op_threads or core_count()
        options.inter_op_num_threads = inter_op_threads
        if path.is_dir():  # the weights lie beside it
            path /= "model.onnx"
        try:
            self.session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except _ONNXRUNTIME_ERRORS as error:
            raise CannotServe(f"model {model!r}: ONNX Runtime cannot load {path}: {error}") from error
        self.signature = Signature(
            model,
            _tensors(model, "input", self.session.get_inputs()),
            _tensors(model, "output", self.session.get_outputs()),
            _tensors(model, "input", self.session.get_overridable_initializers()),
        )

    def run(self, names: list[str], feed: dict[str, Array], options: RunOptions | None = None) -> list[Array]:
        """The outputs of these names."""
        texts = {name: _text(name, array) for name, array in feed.items() if array.dtype == object}
        return self.session.run(names, feed | texts, options)

    def try_run(self, names: list[str], feed: dict[str, Array], seconds: float) -> list[Array]:
        """The outputs of these names, or one of RUN_ERRORS after so many seconds."""
        options = RunOptions()
        timer = threading.Timer(seconds, setattr, (options, "terminate", True))
        timer.start()
        try:
            return self.run(names, feed, options)
        finally:
            timer.cancel()


def _text(name: str, array: Array) -> Array:
    # ONNX Runtime's Python interface takes no bytes.
    try:
        return np.array([value.decode() for value in array.flat], dtype=object).reshape(array.shape)
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r} holds a string that is not UTF-8: {error}") from error


def _tensors(model: str, kind: str, nodes: list[NodeArg]) -> dict[str, Tensor]:
    for node in nodes:
        if node.type not in DATA_TYPES:
            raise CannotServe(
                f"model {model!r}: {kind} {node.name!r} is a {node.type}, which Triton cannot serve. "
                f"Export the model with tensors of numbers, booleans or strings."
            )
    return {
        node.name: Tensor(
            DATA_TYPES[node.type],
            tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape),
            tuple(size if isinstance(size, str) else "" for size in node.shape),
        )
        for node in nodes
    }
