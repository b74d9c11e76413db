"""POST /score: the arguments, the call, the answer."""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from flask import Request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response

from . import answer, failures
from .entry_script import EntryScript
from .exchange import Exchange
from .lifecycle import Lifecycle
from .metrics import Metrics

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Scoring:
    """What all requests to /score have in common."""

    def __init__(self, script: EntryScript, lifecycle: Lifecycle, counters: Metrics) -> None:
        self._script = script
        self._lifecycle = lifecycle
        self._counters = counters

    def score(self, request: Request) -> Response:
        """Call the script once for a request. Raises what failures.answer_to() answers."""
        if not self._script.takes_request:
            if request.method == "OPTIONS":
                return answer.response(Response(content_type="text/html; charset=utf-8"))
            if request.method == "HEAD":
                raise MethodNotAllowed(["GET", "POST", "OPTIONS"], "Method not allowed")
        self._lifecycle.require_initialised()
        values = self._script.read_arguments(request)
        started = perf_counter()
        with self._counters.in_script():
            result = self._script.run(values)
        milliseconds = (perf_counter() - started) * 1000
        response = answer.response(result)
        response.headers["x-ms-run-fn-exec-ms"] = f"{milliseconds:.3f}"
        return response


class Shortcut:
    """The WSGI application that scores without Flask and leaves all other requests to it.

    Flask's routing, contexts and hooks took a quarter of a worker's time, and nothing on this route needs them.
    """

    def __init__(
        self, others: Wsgi, scoring: Scoring, counters: Metrics, server_version: str | None, max_body_bytes: int
    ) -> None:
        self._others = others
        self._scoring = scoring
        self._counters = counters
        self._server_version = server_version
        self._max_body_bytes = max_body_bytes

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - as WSGI has it
        """Answer a request. Source: PEP 3333."""
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] != "/score":
            return self._others(environ, start_response)
        request = Request(environ)
        request.max_content_length = self._max_body_bytes
        exchange = Exchange(environ)
        try:
            exchange.begin()
            response = self._scoring.score(request)
        except Exception as error:
            response = failures.answer_to(error, request)
        exchange.end(response, "/score", self._counters, self._server_version)
        if isinstance(response.response, list):
            start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
            return response.response
        return response(environ, start_response)
