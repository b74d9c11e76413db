"""When a request has to be answered, and what ends one that is late, whether it waits or computes."""

import signal
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeVar

import gevent
from greenlet import greenlet

from .errors import BadInput
from .interruption import Stacks, boundaries, may_be_woken

RECHECK_S = 0.1
AGAIN_S = 0.005  # until the next try to interrupt what cannot be interrupted at the moment
HEADER = "x-request-timeout-ms"

Result = TypeVar("Result")
Doing = Literal["receiving the body", "waiting for a place", "in run()", "waiting for Triton"]


class Deadline:
    """The time that one request has, from its arrival.

    milliseconds: how long that is. of_client: whether the client has set it. doing: what takes the time at the moment.
    shields: how many parts of this service the request is in that must not be interrupted between two instructions.
    greenlet: where it is served, None before and after that.
    """

    __slots__ = ("doing", "ends", "greenlet", "milliseconds", "of_client", "shields")

    def __init__(self, milliseconds: int, of_client: bool) -> None:
        self.milliseconds = milliseconds
        self.of_client = of_client
        self.ends = monotonic() + milliseconds / 1000
        self.doing: Doing = "waiting for a place"
        self.shields = 1
        self.greenlet: greenlet | None = None

    def left_s(self) -> float:
        """Tell how many seconds are left; negative ones are over."""
        return self.ends - monotonic()

    def may_be_woken(self) -> bool:
        """Tell whether the request waits, and an exception may end its wait. To be called by the event loop itself."""
        return self.greenlet is not None and may_be_woken(self.greenlet)

    def wake(self, error: BaseException) -> None:
        """Raise the error in the request, which may be woken. To be called by the event loop itself."""
        assert self.greenlet
        self.greenlet.throw(error)


# That of the request which the code at hand belongs to. The greenlet does not tell: coroutines run in that of their
# event loop. They inherit this, and so does what asyncio.to_thread() starts.
current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


class Expired(BaseException):
    """The deadline has passed. Not an Exception, which a script's own handlers would catch."""


class shielded:  # noqa: N801 - it reads as a word: `with shielded():`
    """A part of this service that a late request must not be interrupted in while it computes.

    For what calls other people's code between two changes that belong together. Where it waits, it is interrupted all
    the same, and prepared for it with `try` and `finally`.
    """

    __slots__ = ("_deadline",)

    def __enter__(self) -> None:
        self._deadline = deadline = current.get()
        if deadline:
            deadline.shields += 1

    def __exit__(self, *_: object) -> None:
        if self._deadline:
            self._deadline.shields -= 1


class Deadlines:
    """The deadlines of this worker's requests.

    gevent's timer ends a request that waits. It cannot fire while one computes, since the event loop does not turn
    then; so an alarm signal, which Python handles between two instructions of whatever computes, looks after that.
    Both interrupt only where that does no harm (interruption.py), and else try again after AGAIN_S.
    """

    def __init__(self, milliseconds: int, script_directories: Iterable[Path]) -> None:
        """milliseconds: the longest time of a request. script_directories: where the script's own code is."""
        self._milliseconds = milliseconds
        self._stacks = Stacks(script_directories)
        self._open: set[Deadline] = set()
        self._alarm_at = 0.0

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
        deadline.greenlet = gevent.getcurrent()
        self._open.add(deadline)
        now = monotonic()
        if not now <= self._alarm_at <= deadline.ends:  # one that is past was lost, to a handler of the script's
            self._arm(deadline.ends, now)
        # gevent.Timeout takes four times as long
        timer = gevent.get_hub().loop.timer(max(deadline.ends - now, 0), AGAIN_S)
        timer.start(_wake, deadline, timer)
        try:
            deadline.shields -= 1
            return function()
        finally:
            deadline.shields += 1
            timer.close()
            deadline.greenlet = None
            self._open.remove(deadline)
            current.reset(outer)

    def _arm(self, at: float, now: float) -> None:
        self._alarm_at = at = max(at, now + AGAIN_S)
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, at - now)

    def _alarm(self, _: int, frame: Any) -> None:  # noqa: ANN401 - FrameType, or None before there is one
        if not self._open:
            return
        now = monotonic()
        at = max(min(each.ends for each in self._open), now + RECHECK_S)
        interrupts = False
        # One that is late and does not run now waits, and is gevent's to end, or is about to compute on.
        if (deadline := current.get()) in self._open and deadline.ends <= now:
            interrupts = not deadline.shields and self._stacks.may_interrupt(frame, now - deadline.ends)
            at = at if interrupts else now
        self._arm(at, now)
        if interrupts:
            raise Expired


boundaries.add(Deadlines.call.__code__)


def _wake(deadline: Deadline, timer: Any) -> None:  # noqa: ANN401 - gevent's are Cython's
    if deadline.may_be_woken():
        timer.stop()
        deadline.wake(Expired())
