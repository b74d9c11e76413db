"""The WSGI application that scores without Flask."""

from collections.abc import Callable, Iterable
from typing import Any

from ..scoring import render
from ..scoring.pipeline import Scoring
from ..scoring.render import Answer, Whole
from ..script.arguments import Environ
from ..telemetry.metrics import Metrics
from . import error_responses
from .auth import Keys
from .envelope import Envelope

Wsgi = Callable[[Environ, Any], Iterable[bytes]]


class FastScore:
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
        envelope = Envelope(environ, "/score", self._counters)
        try:
            envelope.begin(environ, self._keys)
            answered = self._scoring.score(environ)
        except Exception as error:
            answered = error_responses.answer_to(error, environ)
        ours = envelope.end(self._server_version)
        if isinstance(answered, Answer) and isinstance(answered.body, bytes):
            headers = answered.headers | ours | {"Content-Length": str(len(answered.body))}
            start_response("200 OK", list(headers.items()))
            return [answered.body]
        response = render.as_response(answered)
        chunks, status, its = response.get_wsgi_response(environ)
        names = {name.lower() for name in ours}
        start_response(status, [*(each for each in its if each[0].lower() not in names), *ours.items()])
        return Whole(chunks, response.close) if response.is_sequence else chunks
