"""What every request gets, whatever route it takes: its ids, its headers in the answer, its place in the metrics."""

from time import perf_counter
from typing import Any

from ..telemetry import log
from ..telemetry.metrics import Metrics
from . import request_ids
from .auth import Keys

KEY = "scoregate.envelope"  # of a request's environ, for the worker, who knows what was really sent


class Envelope:
    """One request and its answer."""

    def __init__(self, environ: dict[str, Any], route: str, counters: Metrics) -> None:
        """route: the one that answers it, which "//score" shares with "/score"; "none" if there is none."""
        self._trace_id = environ.get("HTTP_TRACEID")
        self._route = route
        self._counters = counters
        self._started = perf_counter()
        self._headers: dict[str, str] = {}  # of the answer
        self._seconds = 0.0
        environ[KEY] = self  # which so must not have the environ: a cycle keeps the body until garbage is collected

    def begin(self, environ: dict[str, Any], keys: Keys) -> None:
        """Read the request's ids, which are in the log from here on; let it in. Raises IdTooLong, Unauthorized."""
        try:
            request_ids.read(environ, self._headers)
        finally:  # an id that is too long is not echoed, but the failure and the log need one
            log.request_id.set(self._headers.get("x-request-id") or request_ids.new())
        keys.require(environ, self._route)

    def end(self, server_version: str | None) -> dict[str, str]:
        """Stop the clock; return the headers that the answer gets, in place of its own of the same names."""
        self._seconds = perf_counter() - self._started
        headers = self._headers
        if server_version:
            headers["x-ms-server-version"] = server_version
        if self._trace_id:
            headers["TraceId"] = self._trace_id
        return headers

    def count(self, outcome: str) -> None:
        """Count what became of the answer: the status that was sent, or why none was sent whole."""
        self._counters.answered(self._route, outcome, self._seconds)
