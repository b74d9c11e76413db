"""POST /score: the arguments, the call, the answer."""

from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

from werkzeug.wrappers import Response

from . import answer, failures
from .alarm import AlarmClock
from .answer import Answer, Whole
from .arguments import Environ
from .deadline import HEADER, Deadline, Deadlines, Expired, shielded
from .departures import ClientLeft
from .entry_script import FAILED, EntryScript, ScriptExits
from .errors import BodyStalled, ClientGone, DeadlineExceeded, ScoringError, ScoringTimeout, ScriptFailed
from .exchange import Exchange
from .keys import Keys
from .metrics import Metrics
from .places import Places
from .readiness import Readiness
from .settings import Settings
from .streams import stream_of
from .untaken import Untaken

Wsgi = Callable[[Environ, Any], Iterable[bytes]]


class Scoring:
    """What all requests to /score have in common."""

    def __init__(
        self,
        script: EntryScript,
        readiness: Readiness,
        counters: Metrics,
        untaken: Untaken,
        settings: Settings,
        clock: AlarmClock,
    ) -> None:
        self._script = script
        self._untaken = untaken
        self._readiness = readiness
        self._counters = counters
        self.deadlines = Deadlines(settings.scoring_timeout_ms, clock)
        self._places = Places(settings.max_in_flight)

    @property
    def takes_head(self) -> bool:
        """Whether run() is called for HEAD, too."""
        return self._script.takes_request

    def score(self, environ: Environ) -> Answer | Response:
        """Call the script once for a request. Raises what failures.answer_to() answers."""
        if environ["REQUEST_METHOD"] == "OPTIONS" and not self._script.takes_request:
            return answer.to(Response(content_type="text/html; charset=utf-8"))
        self._readiness.require_initialised()
        self._untaken.require_room()
        deadline = self.deadlines.begin(environ.get("HTTP_X_REQUEST_TIMEOUT_MS"))
        try:
            return self.deadlines.call(deadline, partial(self._score, environ, deadline))
        except ClientLeft as left:
            raise ClientGone(
                f"The caller closed its side of the connection; the request ended {deadline.doing}. "
                "Keep it open until the answer is there."
            ) from left
        except Expired as expired:
            raise late(deadline) from expired
        except SystemExit as error:
            raise ScriptExits(FAILED) from error
        except Exception:
            raise
        except BaseException as error:
            if deadline.doing in ("receiving the body", "waiting for a place"):
                raise  # GreenletExit of one that is stopped before run()
            # The script's: a panic of a library in Rust, func_timeout's, gevent.Timeout, KeyboardInterrupt. This
            # service raises none in run() but Expired, and a signal raises none in a worker.
            raise ScriptFailed(FAILED) from error

    def _score(self, environ: Environ, deadline: Deadline) -> Answer | Response:
        waited_s = self._places.wait(environ)  # before the body is received, which is spared whoever is refused
        deadline.doing = "receiving the body"
        values = self._script.read_arguments(environ)
        deadline.doing = "waiting for a place"
        with shielded():
            self._places.take(waited_s)
            self._counters.script_entered()
        deadline.doing = "in run()"
        started = perf_counter()
        stream = None
        try:
            result = self._script.run(values)
            stream = stream_of(result)
        finally:
            with shielded():
                seconds = perf_counter() - started
                if stream:
                    stream.at_end(lambda: self._leave(perf_counter() - started))
                else:
                    self._leave(seconds)
        answered = answer.to(result)
        answered.headers["x-ms-run-fn-exec-ms"] = f"{seconds * 1000:.3f}"
        return answered

    def _leave(self, seconds: float) -> None:
        self._counters.script_left(seconds)
        self._places.leave(seconds)


def late(deadline: Deadline) -> ScoringError:
    """Tell whose deadline has passed, and over what."""
    if deadline.doing == "receiving the body":
        return BodyStalled(f"The request's body was not there after {deadline.milliseconds} ms. Send it faster.")
    if deadline.of_client:
        return DeadlineExceeded(
            f"The {deadline.milliseconds} ms that {HEADER} allows ran out {deadline.doing}. Allow more, or try again."
        )
    return ScoringTimeout(deadline.milliseconds, deadline.doing)


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
        exchange = Exchange(environ, "/score", self._counters)
        try:
            exchange.begin(environ, self._keys)
            answered = self._scoring.score(environ)
        except Exception as error:
            answered = failures.answer_to(error, environ)
        ours = exchange.end(self._server_version)
        if isinstance(answered, Answer) and isinstance(answered.body, bytes):
            headers = answered.headers | ours | {"Content-Length": str(len(answered.body))}
            start_response("200 OK", list(headers.items()))
            return [answered.body]
        response = answer.as_response(answered)
        chunks, status, its = response.get_wsgi_response(environ)
        names = {name.lower() for name in ours}
        start_response(status, [*(each for each in its if each[0].lower() not in names), *ours.items()])
        return Whole(chunks, response.close) if response.is_sequence else chunks
