"""What run() returned, as an HTTP response."""

import json
from types import GeneratorType
from typing import Any

import numpy as np
from werkzeug.wrappers import Response

from .errors import AnswerNotSerializable

RUN_FAILED = "x-ms-run-function-failed"


def response(result: Any) -> Response:  # noqa: ANN401 - a script may return anything
    """Make the response: a Response as it is, bytes as they are, a generator as a stream, all else as JSON.

    Beyond what json.dumps knows: numpy arrays (nested lists), numpy scalars, and bytes inside of a structure (as UTF-8
    text, since that is how Triton gives strings). Raises AnswerNotSerializable.
    """
    if isinstance(result, Response):
        if result.status_code >= 500:
            result.headers[RUN_FAILED] = "True"
        return result
    if isinstance(result, bytes | bytearray | memoryview):
        return _succeeded(bytes(result), "application/octet-stream")
    if isinstance(result, GeneratorType):
        return _succeeded(result, "text/html; charset=utf-8")
    try:
        text = json.dumps({} if result is None else result, default=_jsonable)
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or a structure inside of itself
        raise AnswerNotSerializable("An unexpected internal error occurred. Check the logs for more info.") from error
    return _succeeded(text, "application/json")


def _succeeded(body: Any, content_type: str) -> Response:  # noqa: ANN401
    return Response(body, content_type=content_type, headers={RUN_FAILED: "False"})


def _jsonable(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"run() returned a {type(value).__name__}, which JSON has no form for")
