"""Whether values fit a dtype: decided by the values themselves, where numpy's casting rules go by their types."""

from array import array as numbers_of
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from math import isfinite, prod
from typing import Any

import ml_dtypes
import numpy as np
import simdjson
from numpy.typing import NDArray

DEEPEST = 32  # lists in lists: numpy has no array of more dimensions
MANY = 256  # values, of which to look at each type takes longer than to make numbers of them
FEW = 16_384  # values, of which to look for the largest takes less time than to look for infinities afterwards
AT_ONCE = 4096  # values of a list that are looked at together; no more of them need be objects of Python
NUMBERS = (int, float, np.integer, np.floating, ml_dtypes.bfloat16)
BOOLS = {bool, np.bool_}
KINDS = {"b": "boolean", "O": "text"}  # that a dtype takes, if not numbers
LARGEST = {each: float(np.finfo(each).max) for each in "ef"}
LISTS = (list, tuple, simdjson.Array)
ALL_LISTS = set(LISTS)
SHOWN = 40  # characters of a value in a message

Place = tuple[int, ...]
Dtype = np.dtype[Any]


class Misfit(Exception):
    """A value that does not fit. The text names the value, its place, an index for each dimension, and the reason."""

    def __init__(self, value: Any, reason: str, place: Place = ()) -> None:  # noqa: ANN401 - it may be any
        super().__init__(f"{_shown(value)}{f' at {list(place)}' if place else ''}, {reason}")
        self.value = value
        self.reason = reason
        self.place = place

    def at(self, place: Place) -> "Misfit":
        """Make the same of another place."""
        return Misfit(self.value, self.reason, place)


def cast(given: Any, dtype: Dtype) -> NDArray[Any]:  # noqa: ANN401
    """Make an array of the dtype from an array, lists in lists, or one value. Raises Misfit for what does not fit.

    An integer type takes whole numbers in its range, floats among them. A float type takes NaN, infinities, and all
    numbers that do not become infinite. bool takes bools, which nothing else does; object takes texts and bytes, and
    holds them as bytes. An array that has the dtype already is not copied.
    """
    if isinstance(given, LISTS):
        return _of_lists(given, dtype)
    if isinstance(given, np.ma.MaskedArray):
        values: Any = given.astype(object)
        given = np.where(values.mask, np.array(None), values.data)
    if isinstance(given, bytes) or not hasattr(given, "__array__"):
        return _of_values([given], dtype, ())
    array = np.asarray(given)
    if array.dtype.kind in "OSU":
        return _of_values(array.ravel().tolist(), dtype, array.shape)
    return of_array(array, dtype)


def shape_of(lists: Any) -> list[int]:  # noqa: ANN401 - one of LISTS, or what may be in one
    """Tell the shape of even lists by the first of each depth. Raises Misfit for lists too deep for an array."""
    shape: list[int] = []
    while isinstance(lists, LISTS):
        if len(shape) == DEEPEST:
            raise Misfit(lists, f"which is more than {DEEPEST} lists deep", (0,) * DEEPEST)
        shape.append(len(lists))
        lists = lists[0] if len(lists) else None
    return shape


def _require_even(lists: Any, shape: list[int], place: Place = ()) -> None:  # noqa: ANN401
    """Raise Misfit for the first value that is not a list as long as the first one beside it.

    The innermost lists are not looked into. Nothing is kept, since a body may hold more lists than may be objects of
    Python at the same time.
    """
    if len(shape) < 2:
        return
    if not set(map(type, lists)) <= ALL_LISTS or set(map(len, lists)) != {shape[1]}:
        for index, each in enumerate(lists):
            if not isinstance(each, LISTS):
                raise Misfit(each, f"where {[*place, 0]} is a list", (*place, index))
            if len(each) != shape[1]:
                raise Misfit(each, f"of {len(each)} elements where {[*place, 0]} has {shape[1]}", (*place, index))
    if len(shape) > 2:
        for index, each in enumerate(lists):
            _require_even(each, shape[1:], (*place, index))


def _of_lists(lists: Any, dtype: Dtype) -> NDArray[Any]:  # noqa: ANN401
    shape = shape_of(lists)
    _require_even(lists, shape)
    array = np.empty(prod(shape), dtype)
    values = _values(lists, shape)
    at = 0
    while some := list(islice(values, AT_ONCE)):
        try:
            array[at : at + len(some)] = _of_values(some, dtype, (len(some),))
        except Misfit as misfit:
            if at == 0 and _is_array(some[0]):
                return _of_arrays(list(_values(lists, shape)), dtype, shape)
            raise misfit.at(_place(at + misfit.place[0], shape)) from None
        at += len(some)
    return array.reshape(shape)


def _is_array(value: Any) -> bool:  # noqa: ANN401
    return hasattr(value, "__array__") and not isinstance(value, np.generic)


def _of_arrays(arrays: list[Any], dtype: Dtype, shape: list[int]) -> NDArray[Any]:
    made: list[NDArray[Any]] = []
    for index, each in enumerate(arrays):
        try:
            made.append(cast(each, dtype))
        except Misfit as misfit:
            raise misfit.at((*_place(index, shape), *misfit.place)) from None
        if made[0].shape != made[-1].shape:
            raise Misfit(each, f"which is not of shape {list(made[0].shape)} as the first is", _place(index, shape))
    together: NDArray[Any] = np.stack(made)
    return together.reshape(*shape, *made[0].shape)


def _values(lists: Any, shape: list[int]) -> Iterator[Any]:  # noqa: ANN401
    values: Iterator[Any] = iter([lists])
    for _ in shape:
        values = chain.from_iterable(values)
    return values


def _of_values(values: list[Any], dtype: Dtype, shape: Place) -> NDArray[Any]:
    if len(values) >= MANY and dtype.kind not in "Ob" and not _is_array(values[0]):
        numbers = _of_many(values, dtype)
        if numbers is not None:
            return of_array(numbers.reshape(shape), dtype)
    types = set(map(type, values))
    if types == {float} and dtype.kind not in "Ob":
        return of_array(np.array(values, np.float64).reshape(shape), dtype)
    if not all(_is_of_kind(each, dtype) for each in types):
        index = next(index for index, value in enumerate(values) if not _is_of_kind(type(value), dtype))
        raise Misfit(values[index], _reason(values[index], dtype), _place(index, shape))
    if dtype.kind == "O":
        return _of_texts(values, shape)
    array = np.array(values)
    # numpy makes floats of integers beside floats or beside ones of more than 63 bits, and objects of larger ones.
    as_given = array.dtype.kind in "iu" or all(issubclass(each, float | np.floating) for each in types)
    if not as_given and (array.dtype.kind == "O" or dtype.kind in "iu"):
        array = _one_by_one(values, dtype, shape)
    return of_array(array.reshape(shape), dtype)


def _of_many(values: list[Any], dtype: Dtype) -> NDArray[Any] | None:
    """Make int64 of integers, or float64 of numbers, if that is all there is; in half the time of looking at types."""
    try:
        numbers = np.array(memoryview(numbers_of("q" if dtype.kind in "iu" else "d", values)))
    except (TypeError, OverflowError):
        return None
    doubtful = np.flatnonzero((numbers == 0) | (numbers == 1)).tolist()  # True is taken for 1
    return None if BOOLS.intersection(map(type, map(values.__getitem__, doubtful))) else numbers


def _of_texts(values: list[str | bytes], shape: Place) -> NDArray[Any]:
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        try:
            array[index] = value.encode() if isinstance(value, str) else bytes(value)
        except UnicodeEncodeError:
            raise Misfit(value, "which has half of a surrogate pair", _place(index, shape)) from None
    return array.reshape(shape)


def _one_by_one(values: list[Any], dtype: Dtype, shape: Place) -> NDArray[Any]:
    """Make integers, for an integer dtype, or floats, without anything lost between."""
    numbers = []
    for index, value in enumerate(values):
        reason = _reason(value, dtype)
        if reason:
            raise Misfit(value, reason, _place(index, shape))
        numbers.append(int(value) if dtype.kind in "iu" else float(value))
    return np.array(numbers, dtype if dtype.kind in "iu" else np.float64)


def of_array(array: NDArray[Any], dtype: Dtype) -> NDArray[Any]:
    """Do what cast() does, for an array of numbers or bools."""
    if array.dtype == dtype:
        return array
    if not array.size:
        return np.empty(array.shape, dtype)
    if array.dtype.kind == "f" and dtype.char in LARGEST and array.size < FEW:
        largest = LARGEST[dtype.char]
        if np.maximum.reduce(array, None) <= largest and np.minimum.reduce(array, None) >= -largest:
            return array.astype(dtype)
    if not _is_of_kind(array.dtype.type, dtype):
        raise Misfit(array.flat[0], _reason(array.flat[0], dtype), _place(0, array.shape))
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is found below
        converted = array.astype(dtype)
    if np.can_cast(array.dtype, dtype, "safe"):
        return converted
    if dtype.kind in "iu":
        fits = _are_in_range(array, np.iinfo(dtype))
    else:
        fits = np.isfinite(converted)
        if not fits.all():
            fits |= ~np.isfinite(array)
    if not fits.all():
        index = int(fits.argmin())
        raise Misfit(array.flat[index], _reason(array.flat[index], dtype), _place(index, array.shape))
    return converted


def _are_in_range(array: NDArray[Any], limits: Any) -> Any:  # noqa: ANN401
    """Tell which numbers are whole and not beyond the limits of an integer type, compared without rounding."""
    if array.dtype.kind in "iu":
        own = np.iinfo(array.dtype)
        return (array >= max(own.min, limits.min)) & (array <= min(own.max, limits.max))
    floats = array.astype(np.promote_types(array.dtype, np.float64))
    return (floats >= float(limits.min)) & (floats < float(limits.max + 1)) & (np.floor(floats) == floats)


def _is_of_kind(kind: type, dtype: Dtype) -> bool:
    """Tell whether values of a type may fit a dtype."""
    if dtype.kind == "O":
        return issubclass(kind, str | bytes)
    if dtype.kind == "b" or issubclass(kind, bool | np.bool_):
        return dtype.kind == "b" and issubclass(kind, bool | np.bool_)
    return issubclass(kind, NUMBERS) and not issubclass(kind, np.timedelta64)


def _reason(value: Any, dtype: Dtype) -> str:  # noqa: ANN401
    """Say why a value does not fit; "" for one that does."""
    if not _is_of_kind(type(value), dtype):
        return f"which is no {KINDS.get(dtype.kind, 'number')}"
    if dtype.kind in "iu":
        if not isinstance(value, int | np.integer) and not float(value).is_integer():
            return "which is no whole number"
        limits = np.iinfo(dtype)
        fits = limits.min <= int(value) <= limits.max
    else:
        try:
            number = np.float64(value)
        except OverflowError:  # an integer of more than 300 digits
            return f"which is out of the range of {dtype.name}"
        with np.errstate(over="ignore"):
            fits = not isfinite(number) or isfinite(number.astype(dtype))
    return "" if fits else f"which is out of the range of {dtype.name}"


def _place(index: int, shape: Sequence[int]) -> Place:
    return tuple(map(int, np.unravel_index(index, shape))) if shape else ()


def _shown(value: Any) -> str:  # noqa: ANN401
    """Name a value in few words, as JSON has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, LISTS):
        return "a list"
    if isinstance(value, dict | simdjson.Object):
        return "an object"
    if isinstance(value, str | bytes):
        return repr(value if len(value) <= SHOWN else value[:SHOWN]) + ("..." if len(value) > SHOWN else "")
    if isinstance(value, int) and abs(value) >= 10**SHOWN:  # Python refuses to write the largest
        return f"a number of more than {SHOWN} digits"
    return str(value).removesuffix(".0") if isinstance(value, NUMBERS) else f"a value of type {type(value).__name__}"
