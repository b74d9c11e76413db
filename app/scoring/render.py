"""What run() returned, as an HTTP response."""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

from ..errors import AnswerNotSerializable
from ..script import json_writer
from ..script.streams import Stream

RUN_FAILED = "x-ms-run-function-failed"


class Answer:
    """What is answered with 200; of a werkzeug Response, which costs several times as much, it has what is needed."""

    __slots__ = ("body", "headers", "status_code")

    def __init__(self, body: bytes | Stream, content_type: str) -> None:
        self.body = body
        self.headers = {"Content-Type": content_type, RUN_FAILED: "False"}
        self.status_code = 200


def to(result: Any) -> Answer | Response:  # noqa: ANN401 - a script may return anything
    """Answer with a result: a Response as it is, bytes as they are, a stream, all else as JSON.

    Raises AnswerNotSerializable.
    """
    if isinstance(result, Response):
        if result.status_code >= 500:
            result.headers[RUN_FAILED] = "True"
        return result
    if isinstance(result, bytes | bytearray | memoryview):
        return Answer(bytes(result), "application/octet-stream")
    if isinstance(result, Stream):
        return Answer(result, "text/html; charset=utf-8")
    try:
        return Answer(json_writer.dumps({} if result is None else result), "application/json")
    except Exception as error:  # not UTF-8, a structure inside of itself, or what an object of the script's raises
        raise AnswerNotSerializable("An unexpected internal error occurred. Check the logs for more info.") from error


def as_response(answered: Answer | Response) -> Response:
    """Make a Response of what is none."""
    return Response(answered.body, headers=answered.headers) if isinstance(answered, Answer) else answered


class Whole(list[bytes]):
    """All of a response's body, which so can be sent in one piece with its head; WSGI's servers call close() then."""

    def __init__(self, chunks: Iterable[bytes], close: Callable[[], None]) -> None:
        super().__init__(chunks)
        self.close = close
