"""The client under its name until 2021, tritonhttpclient: what scripts of that time expect of its results."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import client, upstream_types


class InferResult(upstream_types.InferResult):
    """A result as tritonclient gave it until 2.7.

    Texts in binary form are an array of numpy.bytes_, by which scripts tell them; later ones are of objects.
    All arrays can be written to.
    """

    @classmethod
    def of(cls, result: upstream_types.InferResult) -> Self:
        """Make one of a later kind."""
        made = cls.__new__(cls)
        made.__dict__.update(result.__dict__)
        return made

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        """Make an array of an output, or None if there is no output of that name."""
        array = super().as_numpy(name)
        if array is None:
            return None
        output = self.get_output(name)
        is_binary = "binary_data_size" in output.get("parameters", {})
        return np.array(array, dtype=np.bytes_ if output["datatype"] == "BYTES" and is_binary else None)


class InferAsyncRequest(upstream_types.InferAsyncRequest):
    """What async_infer() gives."""

    def get_result(self, *args: Any, **kwargs: Any) -> InferResult:  # noqa: ANN401 - upstream's
        """Wait for the result, as upstream does."""
        return InferResult.of(super().get_result(*args, **kwargs))


class InferenceServerClient(client.InferenceServerClient):
    """The client of the same name in tritonclient.http, with results as the old name gave them."""

    def infer(self, *args: Any, **kwargs: Any) -> InferResult:  # noqa: ANN401
        """Ask one model once."""
        return InferResult.of(super().infer(*args, **kwargs))

    def async_infer(self, *args: Any, **kwargs: Any) -> InferAsyncRequest:  # noqa: ANN401
        """Ask one model once, without waiting."""
        request = super().async_infer(*args, **kwargs)
        return InferAsyncRequest(request._greenlet, request._verbose)
