"""The body of a request, for entry scripts that want more of it than text."""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from math import prod
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import orjson
import simdjson
from numpy.typing import DTypeLike, NDArray

from ..errors import BadInput
from ..triton.casting import Misfit, cast, of_array, shape_of

# The number types that simdjson can copy out of a document in one go: its name, and numpy's, for each kind.
_WIDEST: dict[str, tuple[Literal["d", "i", "u"], str]] = {"f": ("d", "f8"), "i": ("i", "i8"), "u": ("u", "u8")}

# Strings, to be passed over, and long integers.
_LONG = re.compile(rb'"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{19,}(?![\d.eE])')


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

        Several times as fast as json.loads() and numpy.array(). The values decide whether they fit the dtype, see
        casting.cast(). Raises BadInput when the body is no JSON object, has no such member, or holds a misfit there;
        the array is not made then.
        """
        wanted = np.dtype(dtype)
        found = self._member(member)
        try:
            array = _uniform(found, wanted, self.data) if isinstance(found, simdjson.Array) else None
            return np.atleast_1d(cast(found, wanted)) if array is None else array
        except Misfit as misfit:
            raise BadInput(f"The member {member!r} takes {wanted.name}. The request gave {misfit}.") from misfit

    def _member(self, member: str) -> Any:  # noqa: ANN401
        document = self._parsed()
        times = sum(map(member.__eq__, document)) if isinstance(document, simdjson.Object | dict) else 0
        if not times:
            raise BadInput(f"The body has no member {member!r}. Send a JSON object that has one.")
        if times == 1:
            return document[member]
        return [value for name, value in document.items() if name == member][-1]  # as json.loads() has it

    def _parsed(self) -> Any:  # noqa: ANN401
        """Parse without making objects of Python, which would take up to 30 times the body."""
        try:
            return simdjson.Parser().parse(self.data)
        except RuntimeError:  # of integers of more than 64 bits; strings are closed, or it would be a ValueError
            with suppress(ValueError, RuntimeError):
                return simdjson.Parser().parse(_LONG.sub(_widened, self.data))
        except ValueError:
            pass
        return self.json  # says what is wrong


def _widened(found: re.Match[bytes]) -> bytes:
    """Write an integer of more than 64 bits as a float; leave what else was found."""
    token = found[0]
    is_large = token[0] != ord('"') and (len(token) > 20 or not -(2**63) <= int(token) < 2**64)
    return token + b".0" if is_large else token


def is_body(annotation: Any, function: Callable[..., Any]) -> bool:  # noqa: ANN401
    """Tell whether an annotation of a function's parameter means Body: by any name, as a text, or as one of several.

    One that cannot be resolved at run time, since its name is imported for type checkers alone, is taken by its text.
    """

    def parameter() -> None: ...

    parameter.__annotations__ = {"it": annotation}
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    namespace = getattr(function, "__globals__", getattr(type(function).__call__, "__globals__", {}))
    try:
        meant = get_type_hints(parameter, namespace)["it"]
    except Exception:  # whatever an annotation of the script's may raise
        return isinstance(annotation, str) and annotation in ("Body", "scoregate.Body")
    return any(each is Body for each in (get_args(meant) if get_origin(meant) in (Union, UnionType) else [meant]))


def _uniform(found: simdjson.Array, dtype: np.dtype[Any], data: bytes) -> NDArray[Any] | None:
    """Read numbers without a Python object for each, or return None where that cannot be. Raises Misfit."""
    if dtype.kind not in _WIDEST:
        return None
    of_type, widest = _WIDEST[dtype.kind]
    shape = shape_of(found)
    try:
        numbers = np.frombuffer(found.as_buffer(of_type=of_type), widest)
        # as_buffer() flattens whatever it gets. That the lists are as many as the shape has, and each as long, tells
        # that there was nothing uneven to flatten. (Brackets elsewhere only lead to the slower way.)
        lists = sum(prod(shape[:depth]) for depth in range(len(shape)))
        brackets = np.count_nonzero(np.frombuffer(data, np.uint8) == ord("["))  # bytes.count() takes longer
        if brackets != lists or not _is_even(found, shape):
            return None
    except (ValueError, TypeError):
        return None
    array = of_array(numbers.reshape(shape), dtype)
    return array if array.flags.writeable else array.copy()


def _is_even(lists: Any, shape: list[int]) -> bool:  # noqa: ANN401
    """Tell whether the lists in each list are as long as the shape says; TypeError where one is a number.

    None is kept: a body may hold more of them than it has bytes for as objects of Python.
    """
    if len(shape) < 2 or not shape[0]:
        return True
    if set(map(len, lists)) != {shape[1]}:
        return False
    return len(shape) == 2 or all(_is_even(each, shape[1:]) for each in lists)
