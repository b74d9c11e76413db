"""Ends a run() that takes too long, whether it waits or computes."""

import signal
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

import gevent

RECHECK_S = 0.1
Result = TypeVar("Result")

# Which run() the code at hand belongs to. The greenlet does not tell: coroutines run in that of their event loop. They
# inherit this, and so does what asyncio.to_thread() starts.
_run: ContextVar[object] = ContextVar("run", default=None)


class Expired(BaseException):
    """The time is over; the text is that time in ms. Not an Exception, which a script's own handlers would catch."""


class Deadline:
    """The time that each run() of this worker has.

    gevent's timer ends a run() that waits. It cannot fire while one computes, since the event loop does not turn then;
    so an alarm signal, which Python handles between two instructions of whatever computes, looks after that.
    """

    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds
        self._ends: dict[object, float] = {}  # run to its end; all have the same time, so the first ends first
        self._armed = False

    def call(self, function: Callable[[], Result]) -> Result:
        """Call the function; raise Expired in it when its time is over."""
        seconds = self._milliseconds / 1000
        run = object()
        outer = _run.set(run)
        self._ends[run] = monotonic() + seconds
        if not self._armed:
            signal.signal(signal.SIGALRM, self._alarm)
            self._arm(seconds)
        timeout = gevent.Timeout.start_new(seconds, Expired(self._milliseconds))
        try:
            return function()
        finally:
            timeout.close()
            del self._ends[run]
            _run.reset(outer)

    def _arm(self, seconds: float) -> None:
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _alarm(self, *_: object) -> None:
        self._armed = False
        if not self._ends:
            return
        now = monotonic()
        # One that is over and still here waits, and is gevent's to end, or is about to compute on.
        self._arm(max(next(iter(self._ends.values())) - now, RECHECK_S))
        if self._ends.get(_run.get(), now + 1) <= now:
            raise Expired(self._milliseconds)
