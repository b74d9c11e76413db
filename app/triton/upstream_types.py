"""What entry scripts give infer() and get from it: tritonclient's InferInput and InferResult, with fewer copies."""

import logging
from typing import Any, Self

import gevent
import numpy as np
import orjson
import tritonclient.http  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from .connections import Response
from .failures import Refused, TimedOut, explain
from .shared_memory import LARGE_BYTES

LOG = logging.getLogger("scoregate")


class InferInput(tritonclient.http.InferInput):  # type: ignore[misc]
    """tritonclient.http.InferInput, which does not copy a large array that cannot change."""

    def set_data_from_numpy(self, input_tensor: NDArray[Any], binary_data: bool = True) -> Self:
        """Set the tensor's data, as upstream does. Raises Refused for another dtype or shape."""
        if isinstance(input_tensor, np.ndarray) and input_tensor.nbytes > LARGE_BYTES and _is_of_bytes(input_tensor):
            input_tensor = input_tensor.view(_OfBytes)
        try:
            super().set_data_from_numpy(input_tensor, binary_data)
        except InferenceServerException as error:
            raise Refused(f"Input {self.name()!r} does not take this: {error.message().rstrip('.')}.") from error
        return self


class _OfBytes(np.ndarray):  # type: ignore[type-arg]
    """An array that is a view of bytes, which cannot change while somebody has it."""

    def tobytes(self, order: Any = "C") -> Any:  # noqa: ANN401, ARG002 - numpy's signature
        """Give a view of the bytes, where numpy copies them."""
        return self.reshape(-1).view(np.uint8).data


def _is_of_bytes(array: NDArray[Any]) -> bool:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, bytes) and array.flags.c_contiguous


class InferResult(tritonclient.http.InferResult):  # type: ignore[misc]
    """tritonclient.http.InferResult of an answer with binary tensors, which it does not copy.

    Upstream defines a class for each result, to decompress what hardly ever is compressed; that is left to it.
    Source: Open Inference Protocol, binary tensor data extension.
    """

    def __init__(self, response: Any, verbose: bool) -> None:  # noqa: ANN401 - geventhttpclient's, or ours
        length = response.get("Inference-Header-Content-Length")
        if verbose or not length or not isinstance(response, Response) or response.get("Content-Encoding"):
            super().__init__(response, verbose)
            return
        at = int(length)
        self._result = orjson.loads(response.body[:at])
        self._buffer = response.body[at:].toreadonly()
        self._output_name_to_buffer_map = {}
        start = 0
        for output in self._result["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is not None:
                self._output_name_to_buffer_map[output["name"]] = start
                start += size

    def as_numpy(self, name: str) -> Any:  # noqa: ANN401 - upstream's
        """Make an array of an output, or None, which is logged, if there is no output of that name."""
        array = super().as_numpy(name)
        if array is None:
            there = ", ".join(repr(each["name"]) for each in self._result.get("outputs") or ()) or "none"
            LOG.warning(
                "as_numpy(%r) is None: model %r has answered with these outputs: %s",
                name,
                self._result.get("model_name"),
                there,
            )
        return array


class InferAsyncRequest(tritonclient.http.InferAsyncRequest):  # type: ignore[misc]
    """tritonclient.http.InferAsyncRequest, which fails as infer() does."""

    def get_result(self, block: bool = True, timeout: float | None = None) -> InferResult:
        """Wait for the result, as upstream does."""
        try:
            return super().get_result(block, timeout)  # type: ignore[no-any-return]
        except InferenceServerException as error:
            if isinstance(error.__context__, gevent.Timeout):
                raise TimedOut(
                    f"Triton gave no answer in {timeout} s. Send less at once, or try again later."
                ) from error
            raise explain(error) from error
