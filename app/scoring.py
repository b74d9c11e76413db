"""POST /score: the arguments, the call, the answer."""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response

from . import answer, failures
from .answer import Answer
from .arguments import Environ
from .entry_script import EntryScript
from .exchange import Exchange
from .keys import Keys
from .lifecycle import Lifecycle
from .metrics import Metrics

Wsgi = Callable[[Environ, Any], Iterable[bytes]]


class Scoring:
    """What all requests to /score have in common."""

    def __init__(self, script: EntryScript, lifecycle: Lifecycle, counters: Metrics) -> None:
        self._script = script
        self._lifecycle = lifecycle
        self._counters = counters

    def score(self, environ: Environ) -> Answer | Response:
        """Call the script once for a request. Raises what failures.answer_to() answers."""
        if not self._script.takes_request:
            if environ["REQUEST_METHOD"] == "OPTIONS":
                return answer.to(Response(content_type="text/html; charset=utf-8"))
            if environ["REQUEST_METHOD"] == "HEAD":
                raise MethodNotAllowed(["GET", "POST", "OPTIONS"], "Method not allowed")
        self._lifecycle.require_initialised()
        values = self._script.read_arguments(environ)
        self._counters.script_entered()
        started = perf_counter()
        try:
            result = self._script.run(values)
        finally:
            seconds = perf_counter() - started
            self._counters.script_left(seconds)
        answered = answer.to(result)
        answered.headers["x-ms-run-fn-exec-ms"] = f"{seconds * 1000:.3f}"
        return answered


class Shortcut:
    """The WSGI application that scores without Flask and leaves all other requests to it.

    Flask's routing, contexts and hooks took a quarter of a worker's time, and nothing on this route needs them.
    """

    def __init__(
        self, others: Wsgi, scoring: Scoring, keys: Keys, counters: Metrics, server_version: str | None
    ) -> None:
        self._others = others
        self._keys = keys
        self._scoring = scoring
        self._counters = counters
        self._server_version = server_version

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - as WSGI has it
        """Answer a request. Source: PEP 3333."""
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] != "/score":
            return self._others(environ, start_response)
        exchange = Exchange(environ)
        try:
            exchange.begin(self._keys)
            answered = self._scoring.score(environ)
        except Exception as error:
            answered = failures.answer_to(error, environ)
        exchange.end(answered, "/score", self._counters, self._server_version)
        if isinstance(answered, Answer) and isinstance(answered.body, bytes):
            start_response("200 OK", [*answered.headers.items(), ("Content-Length", str(len(answered.body)))])
            return [answered.body]
        return answer.as_response(answered)(environ, start_response)
