"""How an event loop waits for what comes soon: awake."""

from collections.abc import Callable
from os import sched_yield
from time import perf_counter
from typing import Any

import gevent

UNDISTURBED_S = 20e-6  # sched_yield() takes less when nobody else wants the core


class SpinWait:
    """A wait that an event loop has again and again; it does not sleep while the last one was short.

    To wake a processor that sleeps takes some 50 us in a virtual machine.
    """

    def __init__(self, limit_s: float, goes_on: Callable[[], bool]) -> None:
        """limit_s: what is short, and for how long to stay awake, in s. goes_on: whether this is all there is to do."""
        self._limit_s = limit_s
        self._goes_on = goes_on
        self._idle: Any = None  # a watcher of libev's, which keeps the loop from sleeping
        self._began = 0.0
        self._lasted = 0.0

    def begin(self) -> None:
        """Keep the loop from sleeping, if it is the worker's own.

        Those of a script's threads would take turns awake.
        """
        self._began = perf_counter()
        hub = gevent.get_hub()
        if self._lasted < self._limit_s and hub.main_hub and self._goes_on():
            self._idle = self._idle or hub.loop.idle()
            self._idle.start(self._look)

    def end(self) -> None:
        """Tell how long it has been since begin()."""
        self._lasted = perf_counter() - self._began

    def _look(self) -> None:
        """Sleep after all once there is else to do, the wait takes long, or another process wants the processor."""
        now = perf_counter()
        if self._goes_on() and now - self._began < self._limit_s:
            sched_yield()
            if perf_counter() - now < UNDISTURBED_S:
                return
        self._idle.stop()
