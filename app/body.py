"""The body of a request, for entry scripts that want more of it than text."""

from functools import cached_property
from itertools import chain
from math import prod
from typing import Any, Literal

import numpy as np
import orjson
import simdjson
from numpy.typing import DTypeLike, NDArray

from .errors import BadInput

# The number types that simdjson can copy out of a document in one go: its name, and numpy's, for each kind.
_WIDEST: dict[str, tuple[Literal["d", "i", "u"], str]] = {"f": ("d", "f8"), "i": ("i", "i8"), "u": ("u", "u8")}


class Body:
    """What run() gets for a parameter annotated with this class: the bytes as they came, and fast ways to arrays.

    `data` holds the bytes.
    """

    __slots__ = ("__dict__", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 - JSON is what it is
        """The body, parsed. Raises BadInput when it is not JSON (RFC 8259, so no NaN)."""
        try:
            return orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"The body is not JSON: {error}.") from error

    def array(self, dtype: DTypeLike, shape: tuple[int, ...] = (-1,)) -> NDArray[Any]:
        """View raw numbers, little-endian unless dtype says otherwise, as an array of the shape; nothing is copied.

        One dimension may be -1: as long as the body makes it. Raises BadInput when the bytes do not fill the shape.
        """
        wanted = np.dtype(dtype)
        try:
            return np.frombuffer(self.data, wanted).reshape(shape)
        except ValueError:
            raise BadInput(
                f"The body has {len(self.data)} bytes, which are no {wanted.name} array of shape {list(shape)}."
            ) from None

    def json_array(self, member: str, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Read the (nested) list of numbers that is one member of the body's JSON object.

        Several times as fast as json.loads() and numpy.array(). Raises BadInput when the body is no JSON object, has no
        such member, or that is not a list of numbers whose parts are equally long.
        """
        wanted = np.dtype(dtype)
        array = self._uniform(member, wanted)
        if array is not None:
            return array
        # Something is out of the ordinary; numpy finds out what, or that it is fine.
        document = self.json
        if not isinstance(document, dict) or member not in document:
            raise BadInput(f"The body has no member {member!r}. Send a JSON object that has one.")
        try:
            array = np.array(document[member], ndmin=1)
        except (ValueError, OverflowError) as error:
            raise BadInput(f"The member {member!r} is no array: {error}.") from error
        with np.errstate(invalid="ignore"):  # compared below
            converted = array.astype(wanted) if array.dtype.kind in "biuf" else array
        if converted is array or (wanted.kind in "biu" and not np.array_equal(converted, array)):
            raise BadInput(f"The member {member!r} holds something that is no {wanted.name}.")
        return converted

    def _uniform(self, member: str, dtype: np.dtype[Any]) -> NDArray[Any] | None:
        """Read the numbers without a Python object for each, or return None."""
        if dtype.kind not in _WIDEST:
            return None
        of_type, widest = _WIDEST[dtype.kind]
        try:
            document = simdjson.Parser().parse(self.data)
            found = document[member] if isinstance(document, simdjson.Object) else None
            if not isinstance(found, simdjson.Array):
                return None
            shape = _shape(found)
            numbers = np.frombuffer(found.as_buffer(of_type=of_type), widest)
            # as_buffer() flattens whatever it gets. That the lists are as many as the shape has, and each as long,
            # tells that there was nothing uneven to flatten. (Brackets elsewhere only lead to the slower way.)
            lists = sum(prod(shape[:depth]) for depth in range(len(shape)))
            brackets = np.count_nonzero(np.frombuffer(self.data, np.uint8) == ord("["))  # bytes.count() takes longer
            if brackets != lists or not _is_even(found, shape):
                return None
        except (ValueError, TypeError, KeyError):
            return None
        converted = numbers.astype(dtype)
        if dtype.kind != "f" and not np.array_equal(converted, numbers):
            return None
        return converted.reshape(shape)


def _shape(found: Any) -> list[int]:  # noqa: ANN401 - a simdjson.Array, or what is in one
    shape = []
    while isinstance(found, simdjson.Array):
        shape.append(len(found))
        found = found[0] if len(found) else None
    return shape


def _is_even(found: Any, shape: list[int]) -> bool:  # noqa: ANN401
    """Tell whether the lists of each depth are as long as the first of them; TypeError where one is a number."""
    lists = [found]
    for length in shape[1:]:
        lists = list(chain.from_iterable(lists))
        if set(map(len, lists)) != {length}:
            return False
    return True
