"""What run() returned, as an HTTP response."""

import json
from collections.abc import Callable, Generator, Iterable
from types import GeneratorType
from typing import Any

import numpy as np
import orjson
from werkzeug.wrappers import Response

from .errors import AnswerNotSerializable

RUN_FAILED = "x-ms-run-function-failed"


class Answer:
    """What is answered with 200; of a werkzeug Response, which costs several times as much, it has what is needed."""

    __slots__ = ("body", "headers", "status_code")

    def __init__(self, body: bytes | Generator[bytes, None, None], content_type: str) -> None:
        self.body = body
        self.headers = {"Content-Type": content_type, RUN_FAILED: "False"}
        self.status_code = 200


def to(result: Any) -> Answer | Response:  # noqa: ANN401 - a script may return anything
    """Answer with a result: a Response as it is, bytes as they are, a generator as a stream, all else as JSON.

    Beyond what json.dumps knows: numpy arrays (nested lists), numpy scalars, and bytes inside of a structure (as UTF-8
    text, since that is how Triton gives strings). Raises AnswerNotSerializable.
    What holds arrays is written by orjson, 15 times as fast: float32 in short, NaN and infinities as null.
    """
    if isinstance(result, Response):
        if result.status_code >= 500:
            result.headers[RUN_FAILED] = "True"
        return result
    if isinstance(result, bytes | bytearray | memoryview):
        return Answer(bytes(result), "application/octet-stream")
    if isinstance(result, GeneratorType):
        return Answer(result, "text/html; charset=utf-8")
    try:
        return Answer(_json({} if result is None else result), "application/json")
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or a structure inside of itself
        raise AnswerNotSerializable("An unexpected internal error occurred. Check the logs for more info.") from error


def as_response(answered: Answer | Response) -> Response:
    """Make a Response of what is none."""
    return Response(answered.body, headers=answered.headers) if isinstance(answered, Answer) else answered


class Whole(list[bytes]):
    """All of a response's body, which so can be sent in one piece with its head; WSGI's servers call close() then."""

    def __init__(self, chunks: Iterable[bytes], close: Callable[[], None]) -> None:
        super().__init__(chunks)
        self.close = close


class _HoldsArrays(Exception):
    """Met a numpy array in an answer."""


def _json(result: Any) -> bytes:  # noqa: ANN401
    try:
        return _WITHOUT_ARRAYS.encode(result).encode()
    except _HoldsArrays:
        pass
    try:
        return orjson.dumps(result, _jsonable, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # not all that numpy and Python have: other byte orders, integers of more than 64 bits
        return json.dumps(result, default=_jsonable).encode()


def _jsonable(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"run() returned a {type(value).__name__}, which JSON has no form for")


def _no_array(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        raise _HoldsArrays
    return _jsonable(value)


_WITHOUT_ARRAYS = json.JSONEncoder(default=_no_array)  # json.dumps() would make one for each answer
