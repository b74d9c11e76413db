"""Triton's ONNX Runtime backend for the pip wheel, which has none: a Python-based backend over pip's onnxruntime.

Triton runs this file once per model instance, each in a process of its own, and once more to complete the config.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from onnx_signature import CannotServe, Signature
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state

# ONNX Runtime's errors have no class in common.
ONNXRUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(onnxruntime_pybind11_state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
RUN_ERRORS: tuple[type[Exception], ...] = (*ONNXRUNTIME_ERRORS, RuntimeError, ValueError)


class NotText(ValueError):
    """A request holds a string that is not UTF-8; ONNX Runtime's Python interface takes no other."""


class TritonPythonModel:
    """One instance of one ONNX model; the name and the methods are those Triton looks for."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        """Complete the config from the ONNX file."""
        # In place: ModelConfig's add_input and add_output refuse the `reshape` that a batched vector needs.
        config = auto_complete_model_config.as_dict()
        signature = Signature(config["name"], _load(config))
        signature.complete(config, int(os.environ["TRITON_DEFAULT_MAX_BATCH_SIZE"]))
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; raises CannotServe if it cannot be loaded or contradicts its config."""
        config = json.loads(args["model_config"])
        self.model = config["name"]
        self.batched = config["max_batch_size"] > 0
        self.output_dims = {entry["name"]: entry["dims"] for entry in config["output"]}
        self.session = _load(config)
        signature = Signature(self.model, self.session)
        signature.check(config)
        inputs = signature.inputs | signature.initializers
        self.scalar_inputs = {name for name, tensor in inputs.items() if tensor.shape == ()}

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton batched, if possible in one run."""
        if self.batched and len(requests) > 1:
            try:
                return self._run(requests)
            except RUN_ERRORS:
                pass  # at least one request is bad: alone, only that one fails
        return [self._run_alone(request) for request in requests]

    def _run_alone(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        try:
            return self._run([request])[0]
        except NotText as error:
            fault = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
        except RUN_ERRORS as error:
            fault = pb_utils.TritonError(f"model {self.model!r} failed: {error}")
        return pb_utils.InferenceResponse(error=fault)

    def _run(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        feeds = [self._feed(request) for request in requests]
        feed = feeds[0]
        if len(feeds) > 1:
            feed = {name: np.concatenate([one[name] for one in feeds]) for name in feed}
        requested = {name for request in requests for name in request.requested_output_names()}
        names = [name for name in self.output_dims if name in requested]
        outputs = self.session.run(names, feed)
        if self.batched:
            rows = [len(next(iter(one.values()))) for one in feeds]
            parts = [self._split(name, output, rows) for name, output in zip(names, outputs, strict=True)]
        else:
            parts = [
                [output if output.ndim else output.reshape(self.output_dims[name])]
                for name, output in zip(names, outputs, strict=True)
            ]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, part) for name, part in zip(names, answer, strict=True)])
            for answer in zip(*parts, strict=True)
        ]

    def _feed(self, request: pb_utils.InferenceRequest) -> dict[str, npt.NDArray[Any]]:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        for name, array in feed.items():
            if array.dtype == object:
                feed[name] = _text(name, array)
            if name in self.scalar_inputs:
                feed[name] = feed[name].reshape(())
        return feed

    def _split(self, name: str, output: npt.NDArray[Any], rows: list[int]) -> list[npt.NDArray[Any]]:
        if output.shape[:1] != (sum(rows),):
            raise ValueError(
                f"output {name!r} has shape {list(output.shape)} for a batch of {sum(rows)}. "
                f"Set max_batch_size to 0 in config.pbtxt, with the dims of all tensors."
            )
        return np.split(output, np.cumsum(rows)[:-1])


def _text(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    try:
        return np.array([value.decode() for value in array.flat], dtype=object).reshape(array.shape)
    except UnicodeDecodeError as error:
        raise NotText(f"input {name!r} holds a string that is not UTF-8: {error}") from error


def _load(config: dict[str, Any]) -> InferenceSession:
    options = SessionOptions()
    options.log_severity_level = 4  # its errors are raised too, and Triton logs or answers them
    options.intra_op_num_threads = _thread_count(config, "intra_op_thread_count")
    options.inter_op_num_threads = _thread_count(config, "inter_op_thread_count")
    path = _model_path()
    try:
        return InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except ONNXRUNTIME_ERRORS as error:
        raise CannotServe(f"model {config['name']!r}: ONNX Runtime cannot load {path}: {error}") from error


def _thread_count(config: dict[str, Any], parameter: str) -> int:
    value = config["parameters"].get(parameter, {"string_value": "0"})["string_value"]
    if not value.isdecimal():
        raise CannotServe(f"model {config['name']!r}: parameter {parameter} is {value!r}, which is not a count.")
    return int(value)


def _model_path() -> Path:
    # auto_complete_config is told neither path nor version. This process is Triton's stub, and its first argument
    # is <repository>/<model>/<version>/<default_model_filename>, the version being the one at hand.
    path = Path(os.fsdecode(Path("/proc/self/cmdline").read_bytes().split(b"\0")[1]))
    return path / "model.onnx" if path.is_dir() else path
