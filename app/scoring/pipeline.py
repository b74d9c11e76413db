"""POST /score: the arguments, the call, the answer."""

from collections.abc import Callable
from functools import partial
from time import perf_counter

from werkzeug.wrappers import Response

from ..errors import BodyStalled, ClientGone, DeadlineExceeded, ScoringError, ScoringTimeout, ScriptExits, ScriptFailed
from ..eventloop.alarm import AlarmClock
from ..eventloop.deadline import HEADER, ClientLeft, Deadline, Deadlines, Expired, shielded
from ..health.readiness import Readiness
from ..script.arguments import Environ
from ..script.entry_script import FAILED, EntryScript
from ..script.streams import stream_of
from ..settings import Settings
from ..telemetry.metrics import Metrics
from . import render
from .admission import Admission
from .render import Answer


class Scoring:
    """What all requests to /score have in common."""

    def __init__(
        self,
        script: EntryScript,
        readiness: Readiness,
        counters: Metrics,
        require_room: Callable[[], None],
        settings: Settings,
        clock: AlarmClock,
    ) -> None:
        """require_room: raises TooBusy while no request may come in."""
        self._script = script
        self._require_room = require_room
        self._readiness = readiness
        self._counters = counters
        self.deadlines = Deadlines(settings.scoring_timeout_ms, clock)
        self._admission = Admission(settings.max_in_flight)

    @property
    def takes_head(self) -> bool:
        """Whether run() is called for HEAD, too."""
        return self._script.takes_request

    def score(self, environ: Environ) -> Answer | Response:
        """Call the script once for a request. Raises what error_responses.answer_to() answers."""
        if environ["REQUEST_METHOD"] == "OPTIONS" and not self._script.takes_request:
            return render.to(Response(content_type="text/html; charset=utf-8"))
        self._readiness.require_initialised()
        self._require_room()
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
        waited_s = self._admission.wait(environ)  # before the body is received, which is spared whoever is refused
        deadline.doing = "receiving the body"
        values = self._script.read_arguments(environ)
        deadline.doing = "waiting for a place"
        with shielded():
            self._admission.acquire(waited_s)
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
        answered = render.to(result)
        answered.headers["x-ms-run-fn-exec-ms"] = f"{seconds * 1000:.3f}"
        return answered

    def _leave(self, seconds: float) -> None:
        self._counters.script_left(seconds)
        self._admission.release(seconds)


def late(deadline: Deadline) -> ScoringError:
    """Tell whose deadline has passed, and over what."""
    if deadline.doing == "receiving the body":
        return BodyStalled(f"The request's body was not there after {deadline.milliseconds} ms. Send it faster.")
    if deadline.of_client:
        return DeadlineExceeded(
            f"The {deadline.milliseconds} ms that {HEADER} allows ran out {deadline.doing}. Allow more, or try again."
        )
    return ScoringTimeout(deadline.milliseconds, deadline.doing)
