"""What run() may return, as JSON: what json.dumps knows, and what numpy, pandas, datetime and Triton add."""

import dataclasses
import json
import re
import sys
from collections.abc import Collection
from datetime import date, time, timedelta
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

NUMPY = orjson.OPT_SERIALIZE_NUMPY
WITH_ARRAYS = NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# Most of what is in answers, and holds nothing else.
ATOMS = frozenset([str, bytes, int, float, bool, type(None), np.bool_, np.float32, np.float64, np.int32, np.int64])
# As datetime.isoformat() writes a time: no fraction or six digits; nine where they are needed, as pandas has it.
NEEDLESS = re.compile(r"\.0+$|(?<=\.\d{6})000$")
# The unit that a datetime64 is written in, where that is not its own.
WRITTEN_IN: dict[str, Any] = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s", "ms": "us"}
DIGITS = {"ns": 9, "ps": 12, "fs": 15, "as": 18}  # of a second, in the units that datetime.timedelta does not have


def dumps(value: Any) -> bytes:  # noqa: ANN401 - a script may return anything
    """Write a value as JSON.

    json.dumps writes what it knows. Orjson writes what holds arrays, 15 times as fast: float32 in short, NaN and
    infinities as null. What neither knows, or orjson writes otherwise, is made plain first.
    Raises TypeError, ValueError or RecursionError for what JSON has no form for.
    """
    try:
        return _WITHOUT_ARRAYS.encode(value).encode()
    except _HoldsArrays:
        pass
    except TypeError:  # a key that json.dumps does not know
        return json.dumps(plain(value)).encode()
    if not _hold_dates((value,)):
        try:
            return orjson.dumps(value, _in_order, WITH_ARRAYS)
        except TypeError:  # an array or a key that orjson does not know, or an integer of more than 64 bits
            pass
    return json.dumps(plain(value)).encode()


def _hold_dates(values: Collection[Any]) -> bool:
    """Tell whether numpy's dates are in there, with which orjson must not be trusted.

    It writes NaT as a date, cuts nanoseconds off, and gives days a time. Of an array of two dimensions it drops what it
    cannot write, and all after it, or may end the process.
    """
    if len(values) > 8 and ATOMS.issuperset(map(type, values)):
        return False
    for each in values:
        kind = type(each)
        if kind in ATOMS:
            continue
        if kind is np.ndarray:
            if each.dtype.kind == "M":
                return True
        elif kind is dict or isinstance(each, dict):
            if _hold_dates(each.values()):
                return True
        elif kind is list or isinstance(each, list | tuple):
            if _hold_dates(each):
                return True
        elif isinstance(each, np.datetime64 | Enum):  # orjson looks into an Enum itself
            return True
    return False


class _HoldsArrays(Exception):
    """Met an array in an answer."""


def _no_array(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        raise _HoldsArrays
    return _plainer(value)


_WITHOUT_ARRAYS = json.JSONEncoder(default=_no_array)  # json.dumps() would make one for each answer


def _in_order(value: Any) -> Any:  # noqa: ANN401
    """Give orjson numbers as it reads them, and what is nearer to JSON. Raises TypeError for what holds dates."""
    if isinstance(value, np.ndarray) and _is_of_numbers(value):
        return _native(value)
    plainer = _plainer(value)
    if _hold_dates((plainer,)):
        raise TypeError
    return plainer


def _plainer(value: Any) -> Any:  # noqa: ANN401
    """Bring what is no numpy array one step nearer to what JSON has a form for.

    Raises TypeError, and _HoldsArrays for what is an array to others.
    """
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, bytes):
        return value.decode()  # Triton gives strings so
    if isinstance(value, np.datetime64):
        return _dates(np.asarray(value))
    if isinstance(value, timedelta | np.timedelta64):
        return _duration(value)
    if isinstance(value, np.void) and value.dtype.names:
        return [value[name] for name in value.dtype.names]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, date | time):  # datetime, pandas.Timestamp and pandas.NaT, which does not equal itself, too
        return value.isoformat() if value == value else None
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if value is _of_pandas("NA"):
        return None
    if hasattr(value, "__array__"):
        raise _HoldsArrays
    raise TypeError(f"run() returned a {type(value).__name__}, which JSON has no form for")


def plain(value: Any) -> Any:  # noqa: ANN401
    """Make what json.dumps knows, all the way down; NaN and infinities become None."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _of_array(value)
    if isinstance(value, _of_pandas("DataFrame")):
        return _records(value)
    if hasattr(value, "__array__") and not isinstance(value, np.generic):  # a pandas.Series or Index, or a tensor
        # Where its dtype is not numpy's, numpy might make floats of integers.
        return plain(np.asarray(value) if isinstance(value.dtype, np.dtype) else value.tolist())
    return plain(_plainer(value))


def _key(value: Any) -> Any:  # noqa: ANN401
    key = plain(value)
    if isinstance(key, list | dict):
        raise TypeError(f"run() returned a {type(value).__name__} as a key, which JSON has no form for")
    return key


def _of_pandas(name: str) -> Any:  # noqa: ANN401
    """Give what pandas calls so; where the script has not imported it, what nothing is, or is one of."""
    return getattr(sys.modules.get("pandas"), name, ())


def _records(frame: Any) -> list[dict[Any, Any]]:  # noqa: ANN401
    names = [_key(each) for each in frame.columns]
    if len(set(names)) < len(names):
        raise TypeError("run() returned a DataFrame that has several columns of one name")
    columns = [plain(frame.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _of_array(array: NDArray[Any]) -> Any:  # noqa: ANN401
    if isinstance(array, np.ma.MaskedArray):
        written = np.array(_of_array(array.data.ravel()), object)
        written[np.ma.getmaskarray(array).ravel()] = None  # type: ignore[no-untyped-call]
        return written.reshape(array.shape).tolist()
    if array.dtype.kind == "M":
        return _dates(array)
    if array.dtype.kind in "mV":  # tolist() would make integers of what is in there
        return plain(list(array) if array.ndim else array[()])
    return orjson.loads(orjson.dumps(_native(array), option=NUMPY)) if _is_of_numbers(array) else plain(array.tolist())


def _is_of_numbers(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "biuf" and array.ndim > 0 and not isinstance(array, np.ma.MaskedArray)


def _native(array: NDArray[Any]) -> NDArray[Any]:
    dtype = np.dtype(np.float64) if array.dtype.char == "g" else array.dtype.newbyteorder("=")
    return array.astype(dtype, order="C", subok=False)


def _dates(array: NDArray[Any]) -> Any:  # noqa: ANN401
    """Write each datetime64 as ISO 8601, NaT as None."""
    unit, _ = np.datetime_data(array.dtype)
    native: Any = array.astype(array.dtype.newbyteorder("="))  # datetime_as_string() takes any other for it
    texts = np.datetime_as_string(native, WRITTEN_IN.get(unit, unit)).ravel().tolist()
    written = [None if text == "NaT" else NEEDLESS.sub("", text) for text in texts]
    return np.array(written, object).reshape(array.shape).tolist()


def _duration(value: Any) -> str | None:  # noqa: ANN401 - of datetime, numpy or pandas
    """Write a duration in seconds, as ISO 8601 has it. Raises TypeError for months and years, which differ."""
    if hasattr(value, "to_timedelta64"):  # pandas.Timedelta, which has nanoseconds
        value = value.to_timedelta64()
    if value != value:
        return None
    unit, step = np.datetime_data(value.dtype) if isinstance(value, np.timedelta64) else ("", 1)
    if unit in DIGITS:
        count, digits = int(value.astype(np.int64)) * step, DIGITS[unit]
    else:
        count, digits = (value.item() if unit else value) // timedelta(microseconds=1), 6
    whole, part = divmod(abs(count), 10**digits)
    seconds = f"{whole}.{part:0{digits}}".rstrip("0").rstrip(".")
    return f"{'-' if count < 0 else ''}PT{seconds}S"
