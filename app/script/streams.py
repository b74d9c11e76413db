"""An answer that comes in pieces: it begins in time, and keeps its place until its end."""

from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any

from werkzeug.wrappers import Response


class Stream:
    """The pieces of an answer, the first of which is there."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        """Wait for the first piece; raises what the script raises before it has one."""
        self._at_end: Callable[[], None] | None = None
        self._script = pieces
        self._rest = iter(pieces)
        self._first = next(self._rest, b"")

    def __iter__(self) -> Iterator[Any]:
        """Give the pieces, as they come."""
        yield self._first
        yield from self._rest

    def __del__(self) -> None:  # of one that was begun, and then not answered with
        self.close()

    def at_end(self, function: Callable[[], None]) -> None:
        """Have a function called once the stream is closed, be it at its end or because its caller has left."""
        self._at_end = function

    def close(self) -> None:
        """Tell the script that no more pieces are wanted. Whoever serves a WSGI application calls this in any case."""
        at_end, self._at_end = self._at_end, None
        try:
            if hasattr(self._script, "close"):
                self._script.close()
        finally:
            if at_end:
                at_end()


def begun(result: Any) -> Any:  # noqa: ANN401 - a script may return anything
    """Wait for the first piece of a result that is a stream, or a response with one; return the result."""
    if isinstance(result, GeneratorType):
        return Stream(result)
    if isinstance(result, Response) and not result.is_sequence:
        result.response = Stream(result.response)
    return result


def stream_of(result: Any) -> Stream | None:  # noqa: ANN401
    """Find the stream in what begun() has returned."""
    found = result.response if isinstance(result, Response) else result
    return found if isinstance(found, Stream) else None
