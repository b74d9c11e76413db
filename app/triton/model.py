"""TritonModel: one model of this service's Triton, called like a function of arrays."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import ArrayLike, NDArray
from tritonclient.utils import (  # type: ignore[import-untyped]
    InferenceServerException,
    deserialize_bytes_tensor,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from .casting import Misfit, cast
from .client import InferenceServerClient, takes_timeout, time_left_us
from .connections import Connections, Response, succeeded
from .failures import Refused, explain, unreachable
from .shared_memory import Buffer, Place, regions

HEADS = 256  # of requests kept, one for each combination of shapes and places; and of answers

Shape = tuple[int, ...]
Input = tuple[Shape, int | Place]  # how many bytes are sent, or where they lie


class TritonModel:
    """A model that init() looks up once and run() calls: `digits(image=x)["probabilities"]`.

    Arrays in, by the names of the model's inputs; arrays out, by the names of its outputs. Small tensors are sent as
    binary data; large ones are put where Triton reads them, in shared memory. Any number of calls may be under way at
    the same time; each has a connection of its own, so that Triton can batch them.
    Source: Open Inference Protocol, with the extensions for binary tensor data and system shared memory.
    """

    def __init__(self, name: str, version: str = "") -> None:
        """Read the model's metadata. version: the one to call; without it, the one that Triton's policy chooses.

        Raises InferenceServerException when there is no such model, ConnectionError when Triton is not there.
        """
        url = InferenceServerClient.service_url
        metadata = InferenceServerClient(url).get_model_metadata(name, version)
        self.name = name
        self.inputs: dict[str, tuple[str, list[int]]] = {
            each["name"]: (each["datatype"], each["shape"]) for each in metadata["inputs"]
        }
        self._dtypes = {each: _dtype(datatype) for each, (datatype, _) in self.inputs.items()}
        self._uri = f"/v2/models/{quote(name)}{f'/versions/{version}' if version else ''}/infer"
        self._connections = Connections(url)
        self._regions = regions(url)
        self._version = version
        self._heads: dict[tuple[Input, ...], bytes] = {}

    def __call__(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
        """Ask the model once.

        inputs: an array, or lists in lists, for each input; the shape is the model's, batch first, and the values
        decide whether they fit the model's datatype, see casting.cast().
        Returns an array for each output, read-only where it is a view of what was received. BYTES are arrays of bytes.
        Raises Refused (400) for what does not fit the model, TypeError for names that are not the model's, Failed,
        Busy, QueueFull, QueueTimeout, Unreachable, TimedOut.
        """
        if inputs.keys() != self.inputs.keys():
            raise TypeError(
                f"{self.name} takes {', '.join(self.inputs)}; the call gave {', '.join(inputs) or 'nothing'}."
            )
        given = [self._tensor(name, inputs[name]) for name in self.inputs]
        shapes, tensors = [shape for shape, _ in given], [data for _, data in given]
        try:
            response = self._regions.through(tensors, lambda places: self._ask(zip(shapes, places, strict=True)))
            if response is None:
                response = self._ask(zip(shapes, map(len, tensors), strict=True), *tensors)
        except OSError as error:
            raise unreachable(self._uri, error) from error
        return _outputs(response)

    def zeros(self) -> dict[str, NDArray[Any]]:
        """Make the smallest inputs that fit: zeros, or empty BYTES; the size of a dimension that may be any is 1."""
        return {
            name: np.full([abs(dim) for dim in dims], b"" if datatype == "BYTES" else 0, self._dtypes[name])
            for name, (datatype, dims) in self.inputs.items()
        }

    def _tensor(self, name: str, given: ArrayLike) -> tuple[Shape, Buffer]:
        """Make the shape and the bytes of an input."""
        wanted = self._dtypes[name]
        if type(given) is not np.ndarray or given.dtype != wanted or wanted.kind == "O":
            try:
                given = cast(given, wanted)
            except Misfit as misfit:
                raise self._refused(name, str(misfit)) from misfit
        if wanted.kind == "O":
            return given.shape, serialize_byte_tensor(given).item() if given.size else b""
        return given.shape, np.ascontiguousarray(given).reshape(-1).view(np.uint8).data

    def _ask(self, inputs: Iterable[Input], *sent: Buffer) -> Response:
        """Send a request, with the tensors that are not in shared memory. Raises as __call__ does."""
        given = tuple(inputs)
        head = self._head(given, time_left_us()) if self._takes_timeout() else self._heads.get(given)
        if not head:
            head = self._keep(given, self._head(given, None))
        try:
            return succeeded(self._connections.call(head, *sent))
        except InferenceServerException as error:
            raise explain(error) from error

    def _takes_timeout(self) -> bool:
        return takes_timeout(self.name, self._version)

    def _refused(self, name: str, given: str) -> Refused:
        datatype, dims = self.inputs[name]
        return Refused(f"Input {name!r} of model {self.name!r} takes {datatype} {dims}. The request gave {given}.")

    def _keep(self, given: tuple[Input, ...], head: bytes) -> bytes:
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads[given] = head
        return head

    def _head(self, given: tuple[Input, ...], timeout_us: int | None) -> bytes:
        """Write what comes before the tensors, the HTTP head and the JSON header, if the shapes are the model's."""
        tensors = []
        sent = 0
        for (name, (datatype, dims)), (shape, where) in zip(self.inputs.items(), given, strict=True):
            if len(shape) != len(dims) or any(dim not in (-1, size) for size, dim in zip(shape, dims, strict=True)):
                kind = "BYTES" if datatype == "BYTES" else self._dtypes[name].name
                raise self._refused(name, f"{kind} {list(shape)}")
            if isinstance(where, Place):
                parameters = where.parameters
            else:
                parameters = {"binary_data_size": where}
                sent += where
            tensors.append({"name": name, "datatype": datatype, "shape": shape, "parameters": parameters})
        timeout = {"timeout": timeout_us} if timeout_us else {}
        header = {"inputs": tensors, "parameters": {"binary_data_output": True} | timeout}
        return self._connections.inference_head(self._uri, header, sent)


def _dtype(datatype: str) -> np.dtype[Any]:
    return np.dtype(np.object_ if datatype == "BYTES" else triton_to_np_dtype(datatype))


def _outputs(response: Response) -> dict[str, NDArray[Any]]:
    body = response.body
    at = int(response.get("inference-header-content-length") or len(body))
    outputs: dict[str, NDArray[Any]] = {}
    for name, dtype, shape, size in _tensors(bytes(body[:at])):
        data = body[at : at + size]
        at += size
        array = np.frombuffer(data, dtype) if dtype.kind != "O" else deserialize_bytes_tensor(bytes(data))
        outputs[name] = array.reshape(shape)
    return outputs


@lru_cache(HEADS)
def _tensors(header: bytes) -> list[tuple[str, np.dtype[Any], Shape, int]]:
    """Read the name, the dtype, the shape and the bytes of each output; most answers of a model begin alike."""
    return [
        (each["name"], _dtype(each["datatype"]), tuple(each["shape"]), each["parameters"]["binary_data_size"])
        for each in orjson.loads(header)["outputs"]
    ]
