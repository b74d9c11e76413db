"""What run() returned, as an HTTP response."""

import json
from typing import Any

import numpy as np
from werkzeug.wrappers import Response

from .errors import AnswerNotSerializable


def response(result: Any) -> Response:  # noqa: ANN401 - a script may return anything
    """Make the response: a Response as it is, bytes as they are, all else as JSON.

    Beyond what json.dumps knows: numpy arrays (nested lists), numpy scalars, and bytes inside of a structure (as UTF-8
    text, since that is how Triton gives strings). Raises AnswerNotSerializable.
    """
    if isinstance(result, Response):
        return result
    if isinstance(result, bytes | bytearray | memoryview):
        return Response(bytes(result), content_type="application/octet-stream")
    try:
        text = json.dumps({} if result is None else result, default=_jsonable)
    except (TypeError, ValueError) as error:  # ValueError: a structure that contains itself, bytes that are not UTF-8
        raise AnswerNotSerializable("An unexpected internal error occurred. Check the logs for more info.") from error
    return Response(text, content_type="application/json")


def _jsonable(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"run() returned a {type(value).__name__}, which JSON has no form for")
