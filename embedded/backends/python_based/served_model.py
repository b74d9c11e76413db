"""Answers the requests that Triton batched: in one run of the model if possible, else each in its own.

Triton runs a Python-based backend once per model instance, each in a process of its own, and once more to complete
the config.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from model_signature import Signature

Array = npt.NDArray[Any]


class BadInput(ValueError):
    """A request holds what the model can never take."""


class ServedModel:
    """A loaded model and the config that it is served with.

    run: takes the wanted outputs' names and the inputs' arrays by name, gives the outputs' arrays in that order.
    run_errors: what it raises when the model fails, or is given what it cannot compute.
    """

    def __init__(
        self,
        config: dict[str, Any],
        signature: Signature,
        run: Callable[[list[str], dict[str, Array]], list[Array]],
        run_errors: tuple[type[Exception], ...],
    ) -> None:
        self.name = config["name"]
        self.batched = config["max_batch_size"] > 0
        self.output_dims = {entry["name"]: entry["dims"] for entry in config["output"]}
        inputs = signature.inputs | signature.optional_inputs
        self.scalar_inputs = {name for name, tensor in inputs.items() if tensor.shape == ()}
        self.run = run
        self.errors = (*run_errors, ValueError)  # numpy's, when shapes do not go together, and BadInput

    def answer(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """One response for each request, in their order; a request that fails has its error for a response."""
        if self.batched and len(requests) > 1:
            try:
                return self._answer_together(requests)
            except self.errors:
                pass  # at least one request is bad: alone, only that one fails
        return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        try:
            return self._answer_together([request])[0]
        except BadInput as error:
            fault = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
        except self.errors as error:
            fault = pb_utils.TritonError(f"model {self.name!r} failed: {error}")
        return pb_utils.InferenceResponse(error=fault)

    def _answer_together(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        feeds = [self._feed(request) for request in requests]
        feed = feeds[0]
        if len(feeds) > 1:
            feed = {name: np.concatenate([one[name] for one in feeds]) for name in feed}
        requested = {name for request in requests for name in request.requested_output_names()}
        names = [name for name in self.output_dims if name in requested]
        outputs = self.run(names, feed)
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

    def _feed(self, request: pb_utils.InferenceRequest) -> dict[str, Array]:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        return {name: array.reshape(()) if name in self.scalar_inputs else array for name, array in feed.items()}

    def _split(self, name: str, output: Array, rows: list[int]) -> list[Array]:
        if output.shape[:1] != (sum(rows),):
            raise ValueError(
                f"output {name!r} has shape {list(output.shape)} for a batch of {sum(rows)}. "
                f"Set max_batch_size to 0 in config.pbtxt, with the dims of all tensors."
            )
        ends = [*itertools.accumulate(rows)]
        return [output[end - count : end] for count, end in zip(rows, ends, strict=True)]  # np.split() takes 5 times it


def default_max_batch_size() -> int:
    """Triton's --backend-config=default-max-batch-size, handed down by the launcher; Triton's own default is 4."""
    return int(os.environ.get("TRITON_DEFAULT_MAX_BATCH_SIZE", "4"))


def model_path() -> Path:
    """Where the model of this process lies.

    auto_complete_config is told neither path nor version. This process is Triton's stub, and its first argument
    is <repository>/<model>/<version>/<default_model_filename>, the version being the one at hand.
    """
    return Path(os.fsdecode(Path("/proc/self/cmdline").read_bytes().split(b"\0")[1]))
