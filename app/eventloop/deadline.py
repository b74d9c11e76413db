"""When a request has to be answered, and what ends one that is late, whether it waits or computes."""

from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import gevent
from greenlet import greenlet

from ..errors import BadInput
from . import forks
from .alarm import AGAIN_S, AlarmClock, Interruption
from .interruption import boundaries, may_be_woken

if TYPE_CHECKING:
    from .script_signals import ScriptAlarm

HEADER = "x-request-timeout-ms"

Result = TypeVar("Result")
Doing = Literal["receiving the body", "waiting for a place", "in run()", "waiting for Triton"]


class Deadline(Interruption):
    """The time that one request has, from its arrival.

    milliseconds: how long that is. of_client: whether the client has set it. doing: what takes the time at the moment.
    shields: how many parts of this service the request is in that must not be interrupted between two instructions.
    greenlet: where it is served, None before and after that. alarm: the one that its script has set.
    """

    __slots__ = ("alarm", "doing", "greenlet", "milliseconds", "of_client", "shields")

    def __init__(self, milliseconds: int, of_client: bool) -> None:
        self.milliseconds = milliseconds
        self.of_client = of_client
        self.ends = monotonic() + milliseconds / 1000
        self.doing: Doing = "waiting for a place"
        self.shields = 1
        self.greenlet: greenlet | None = None
        self.alarm: ScriptAlarm | None = None

    def left_s(self) -> float:
        """Tell how many seconds are left; negative ones are over."""
        return self.ends - monotonic()

    def is_here(self) -> bool:
        """Tell whether the code that runs at this moment belongs to the request."""
        return current.get() is self

    def is_shielded(self) -> bool:
        """Tell whether the request is in a part of this service that must not be interrupted."""
        return self.shields > 0

    def interrupt(self, _: FrameType) -> NoReturn:
        """End the request, which computes."""
        raise Expired

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
forks.in_child(lambda: current.set(None))


class Expired(BaseException):
    """The deadline has passed. Not an Exception, which a script's own handlers would catch."""


class ClientLeft(Expired):
    """Nobody waits for the answer any more."""


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

    A timer ends a request that waits, the alarm one that computes. Both interrupt only where that does no harm
    (interruption.py), and else try again after AGAIN_S.
    """

    def __init__(self, milliseconds: int, clock: AlarmClock) -> None:
        """milliseconds: the longest time of a request."""
        self._milliseconds = milliseconds
        self._clock = clock

    def begin(self, wish: str | None) -> Deadline:
        """Set a request's deadline. wish: what its header says, in ms; it can only shorten. Raises BadInput."""
        if wish is None:
            return Deadline(self._milliseconds, of_client=False)
        if not (wish.isascii() and wish.isdecimal() and 0 < len(wish) <= 10 and int(wish)):
            raise BadInput(f"{HEADER}={wish!r} is not a whole number of milliseconds from 1 on. Correct it.")
        milliseconds = int(wish)
        return Deadline(min(milliseconds, self._milliseconds), of_client=milliseconds < self._milliseconds)

    def under_way(self) -> list[Deadline]:
        """List the deadlines of the requests under way."""
        return [each for each in self._clock.watched() if isinstance(each, Deadline)]

    def call(self, deadline: Deadline, function: Callable[[], Result]) -> Result:
        """Call the function; raise Expired in it when its deadline passes."""
        outer = current.set(deadline)
        deadline.greenlet = gevent.getcurrent()
        self._clock.add(deadline)
        # gevent.Timeout takes four times as long
        timer = gevent.get_hub().loop.timer(max(deadline.left_s(), 0), AGAIN_S)
        timer.start(_wake, deadline, timer)
        try:
            deadline.shields -= 1
            return function()
        finally:
            deadline.shields += 1
            timer.close()
            if deadline.alarm:
                deadline.alarm.cancel()
            self._clock.discard(deadline)
            deadline.greenlet = None
            current.reset(outer)


boundaries.add(Deadlines.call.__code__)


def _wake(deadline: Deadline, timer: Any) -> None:  # noqa: ANN401 - gevent's are Cython's
    if deadline.may_be_woken():
        timer.stop()
        deadline.wake(Expired())
