"""What every request gets, whatever route it takes: its ids, its headers in the answer, its place in the metrics."""

from time import perf_counter
from typing import Any

from werkzeug.wrappers import Response

from . import log, request_ids
from .answer import Answer
from .keys import Keys
from .metrics import Metrics


class Exchange:
    """One request and its answer."""

    def __init__(self, environ: dict[str, Any], route: str) -> None:
        """route: the one that answers it, which "//score" shares with "/score"; "none" if there is none."""
        self._environ = environ
        self._route = route
        self._started = perf_counter()
        self._echo: dict[str, str] = {}

    def begin(self, keys: Keys) -> None:
        """Read the request's ids, which are in the log from here on; let it in. Raises IdTooLong, Unauthorized."""
        try:
            request_ids.read(self._environ, self._echo)
        finally:  # an id that is too long is not echoed, but the failure and the log need one
            log.request_id.set(self._echo.get("x-request-id") or request_ids.new())
        keys.require(self._environ, self._route)

    def end(self, response: Answer | Response, counters: Metrics, server_version: str | None) -> None:
        """Complete the answer's headers, and count it."""
        response.headers.update(self._echo)
        if server_version:
            response.headers["x-ms-server-version"] = server_version
        if trace_id := self._environ.get("HTTP_TRACEID"):
            response.headers["TraceId"] = trace_id
        counters.answered(self._route, response.status_code, perf_counter() - self._started)
