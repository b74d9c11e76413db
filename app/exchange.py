"""What every request gets, whatever route it takes: its ids, its headers in the answer, its place in the metrics."""

from time import perf_counter
from typing import Any

from . import log, request_ids
from .keys import Keys
from .metrics import Metrics


class Exchange:
    """One request and its answer."""

    def __init__(self, environ: dict[str, Any], route: str) -> None:
        """route: the one that answers it, which "//score" shares with "/score"; "none" if there is none."""
        self._environ = environ
        self._route = route
        self._started = perf_counter()
        self._headers: dict[str, str] = {}  # of the answer

    def begin(self, keys: Keys) -> None:
        """Read the request's ids, which are in the log from here on; let it in. Raises IdTooLong, Unauthorized."""
        try:
            request_ids.read(self._environ, self._headers)
        finally:  # an id that is too long is not echoed, but the failure and the log need one
            log.request_id.set(self._headers.get("x-request-id") or request_ids.new())
        keys.require(self._environ, self._route)

    def end(self, status: int, counters: Metrics, server_version: str | None) -> dict[str, str]:
        """Count the answer; return the headers that it gets, in place of its own of the same names."""
        headers = self._headers
        if server_version:
            headers["x-ms-server-version"] = server_version
        if trace_id := self._environ.get("HTTP_TRACEID"):
            headers["TraceId"] = trace_id
        counters.answered(self._route, status, perf_counter() - self._started)
        return headers
