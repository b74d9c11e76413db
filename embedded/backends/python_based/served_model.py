"""Answers the requests that Triton batched: in one run of the model if possible, else each in its own.

Triton runs a Python-based backend once per model instance, each in a process of its own, and once more to complete
the config.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from model_signature import Array, BadInput, Signature


class MayBeTransposed(ValueError):
    """So many rows are run together as an open dimension is long: none can tell which of the two is the batch."""


class NotOneRowEach(ValueError):
    """An output has not one row for each row of the inputs."""


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
        self.together = config["max_batch_size"] > 0
        self.output_dims = {entry["name"]: entry["dims"] for entry in config["output"]}
        inputs = signature.inputs | signature.optional_inputs
        self.scalar_inputs = {name for name, tensor in inputs.items() if tensor.shape == ()}
        self.open_places = {
            name: [place for place, size in enumerate(tensor.shape) if place and size == -1]
            for name, tensor in (signature.inputs | signature.outputs).items()
        }
        self.run = run
        self.errors = (*run_errors, ValueError)  # numpy's, when shapes do not go together, and BadInput

    def answer(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """One response for each request, in their order; a request that fails has its error for a response."""
        if self.together and len(requests) > 1:
            try:
                return self._answer_together(requests)
            except MayBeTransposed:
                middle = len(requests) // 2
                return [*self.answer(requests[:middle]), *self.answer(requests[middle:])]
            except NotOneRowEach as error:
                self.together = False
                pb_utils.Logger.log_warn(
                    f"model {self.name!r} is not batched any more, each request runs alone: {error}. "
                    f"Its rows were not proved independent, or config.pbtxt gives it a max_batch_size."
                )
            except self.errors:
                pass  # at least one request is bad: alone, only that one fails
        return [self._answer_alone(request) for request in requests]

    def _answer_alone(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        try:
            names = self._names([request])
            outputs = self.run(names, self._feed(request))
            shaped = [
                output if output.ndim else output.reshape(self.output_dims[name])
                for name, output in zip(names, outputs, strict=True)
            ]
            return _response(names, shaped)
        except BadInput as error:
            fault = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
        except self.errors as error:
            fault = pb_utils.TritonError(f"model {self.name!r} failed: {error}")
        return pb_utils.InferenceResponse(error=fault)

    def _answer_together(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        feeds = [self._feed(request) for request in requests]
        feed = {name: np.concatenate([one[name] for one in feeds]) for name in feeds[0]}
        counts = [len(next(iter(one.values()))) for one in feeds]
        rows = sum(counts)
        self._check_is_the_batch(rows, feed)
        names = self._names(requests)
        outputs = self.run(names, feed)
        for name, output in zip(names, outputs, strict=True):
            if output.shape[:1] != (rows,):
                raise NotOneRowEach(f"output {name!r} has shape {list(output.shape)} for {rows} rows")
        self._check_is_the_batch(rows, dict(zip(names, outputs, strict=True)))
        ends = [*itertools.accumulate(counts)]
        parts = [
            [output[end - count : end] for count, end in zip(counts, ends, strict=True)]  # np.split() takes 5 times it
            for output in outputs
        ]
        return [_response(names, answer) for answer in zip(*parts, strict=True)]

    def _check_is_the_batch(self, rows: int, arrays: dict[str, Array]) -> None:
        for name, array in arrays.items():
            for place in self.open_places[name]:
                if array.shape[place : place + 1] == (rows,):
                    raise MayBeTransposed

    def _names(self, requests: list[pb_utils.InferenceRequest]) -> list[str]:
        requested = {name for request in requests for name in request.requested_output_names()}
        return [name for name in self.output_dims if name in requested]

    def _feed(self, request: pb_utils.InferenceRequest) -> dict[str, Array]:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        return {name: array.reshape(()) if name in self.scalar_inputs else array for name, array in feed.items()}


def _response(names: list[str], outputs: Iterable[Array]) -> pb_utils.InferenceResponse:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, output) for name, output in zip(names, outputs, strict=True)]
    )


def default_max_batch_size() -> int:
    """Triton's --backend-config=default-max-batch-size, handed down by the launcher; Triton's own default is 4."""
    return int(os.environ.get("TRITON_DEFAULT_MAX_BATCH_SIZE", "4"))


def model_path() -> Path:
    """Where the model of this process lies.

    auto_complete_config is told neither path nor version. This process is Triton's stub, and its first argument
    is <repository>/<model>/<version>/<default_model_filename>, the version being the one at hand.
    """
    return Path(os.fsdecode(Path("/proc/self/cmdline").read_bytes().split(b"\0")[1]))
