"""When a request has to be answered, and what ends one that is late, whether it waits or computes."""

import signal
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Literal, TypeVar

import gevent

from .errors import BadInput

RECHECK_S = 0.1
HEADER = "x-request-timeout-ms"

Result = TypeVar("Result")
Doing = Literal["receiving the body", "waiting for a place", "in run()", "waiting for Triton"]


class Deadline:
    """The time that one request has, from its arrival.

    milliseconds: how long that is. of_client: whether the client has set it. doing: what takes the time at the moment.
    may_be_cut: whether that may end between any two of its instructions, even while it computes.
    """

    __slots__ = ("doing", "ends", "may_be_cut", "milliseconds", "of_client")

    def __init__(self, milliseconds: int, of_client: bool) -> None:
        self.milliseconds = milliseconds
        self.of_client = of_client
        self.ends = monotonic() + milliseconds / 1000
        self.doing: Doing = "waiting for a place"
        self.may_be_cut = False

    def left_s(self) -> float:
        """Tell how many seconds are left; negative ones are over."""
        return self.ends - monotonic()


# That of the request which the code at hand belongs to. The greenlet does not tell: coroutines run in that of their
# event loop. They inherit this, and so does what asyncio.to_thread() starts.
current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class Expired(BaseException):
    """The deadline has passed. Not an Exception, which a script's own handlers would catch."""


class Deadlines:
    """The deadlines of this worker's requests.

    gevent's timer ends a request that waits. It cannot fire while one computes, since the event loop does not turn
    then; so an alarm signal, which Python handles between two instructions of whatever computes, looks after that.
    """

    def __init__(self, milliseconds: int) -> None:
        """milliseconds: the longest time of a request."""
        self._milliseconds = milliseconds
        self._open: set[Deadline] = set()
        self._alarm_at: float | None = None

    def begin(self, wish: str | None) -> Deadline:
        """Set a request's deadline. wish: what its header says, in ms; it can only shorten. Raises BadInput."""
        if wish is None:
            return Deadline(self._milliseconds, of_client=False)
        if not (wish.isascii() and wish.isdecimal() and 0 < len(wish) <= 10 and int(wish)):
            raise BadInput(f"{HEADER}={wish!r} is not a whole number of milliseconds from 1 on. Correct it.")
        milliseconds = int(wish)
        return Deadline(min(milliseconds, self._milliseconds), of_client=milliseconds < self._milliseconds)

    def call(self, deadline: Deadline, function: Callable[[], Result]) -> Result:
        """Call the function; raise Expired in it when its deadline passes."""
        outer = current.set(deadline)
        self._open.add(deadline)
        if self._alarm_at is None or deadline.ends < self._alarm_at:
            signal.signal(signal.SIGALRM, self._alarm)
            self._arm(deadline.ends)
        timer = gevent.get_hub().loop.timer(max(deadline.left_s(), 0))  # gevent.Timeout takes four times as long
        timer.start(gevent.getcurrent().throw, Expired())
        try:
            deadline.may_be_cut = True
            return function()
        finally:
            deadline.may_be_cut = False
            timer.close()
            self._open.remove(deadline)
            current.reset(outer)

    def _arm(self, at: float) -> None:
        self._alarm_at = at
        signal.setitimer(signal.ITIMER_REAL, max(at - monotonic(), RECHECK_S))

    def _alarm(self, *_: object) -> None:
        self._alarm_at = None
        if not self._open:
            return
        # One that is over and still here waits, and is gevent's to end, or is about to compute on.
        self._arm(min(each.ends for each in self._open))
        deadline = current.get()
        if deadline in self._open and deadline.may_be_cut and deadline.left_s() <= 0:
            raise Expired
