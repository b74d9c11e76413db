"""The process's one alarm signal, for all whose time may pass while they compute.

The event loop does not turn while a request computes, so none of its timers can fire. A signal is handled by Python
between two instructions of whatever computes, in whichever greenlet that is.
"""

from signal import ITIMER_REAL, SIGALRM, setitimer
from signal import signal as set_handler  # by name: scripts get another one
from time import monotonic
from types import FrameType
from typing import Any

from . import forks
from .interruption import Stacks

RECHECK_S = 0.1
AGAIN_S = 0.005  # until the next try to interrupt what must not be interrupted at the moment


class Interruption:
    """What is to be interrupted if it computes after a moment, `ends`, of time.monotonic()."""

    __slots__ = ("ends",)
    ends: float

    def is_here(self) -> bool:
        """Tell whether it is what runs at this moment."""
        raise NotImplementedError

    def is_shielded(self) -> bool:
        """Tell whether it is in a part of this service that must not be interrupted."""
        raise NotImplementedError

    def interrupt(self, frame: FrameType) -> None:
        """Raise what is to be raised in this frame."""
        raise NotImplementedError


class AlarmClock:
    """Sets the alarm for the interruption that is to come first. It is set again whenever it was lost."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks
        self._open: set[Interruption] = set()
        self._at = 0.0
        forks.in_child(self._open.clear)

    def add(self, interruption: Interruption) -> None:
        """Interrupt from its end on, again and again until it is discarded."""
        self._open.add(interruption)
        now = monotonic()
        if not now <= self._at <= interruption.ends:
            self._set(interruption.ends, now)

    def watched(self) -> list[Interruption]:
        """List what the clock watches."""
        return list(self._open)

    def discard(self, interruption: Interruption) -> None:
        """Interrupt no more."""
        self._open.discard(interruption)

    def _set(self, at: float, now: float) -> None:
        self._at = at = max(at, now + AGAIN_S)
        set_handler(SIGALRM, self._ring)
        setitimer(ITIMER_REAL, at - now)

    def _ring(self, _: int, frame: Any) -> None:  # noqa: ANN401 - FrameType, or None before there is one
        if not self._open:
            return
        now = monotonic()
        # One that is late and not here waits, and is a timer's to interrupt, or is about to compute on.
        late = [each for each in self._open if each.ends <= now and each.is_here()]
        first = next(
            (each for each in late if not each.is_shielded() and self._stacks.may_interrupt(frame, now - each.ends)),
            None,
        )
        next_end = min(each.ends for each in self._open)
        self._set(now if late and not first else max(next_end, now + RECHECK_S), now)
        if first:
            first.interrupt(frame)
