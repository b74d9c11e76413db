"""What the calls to Triton of one event loop have in common: when they are sent, and how the loop waits for answers."""

from collections.abc import Callable
from os import sched_yield
from time import perf_counter
from typing import Any

import gevent
from gevent.monkey import get_original

AWAKE_S = 0.001
UNDISTURBED_S = 20e-6  # sched_yield() takes less when nobody else wants the core

_ThreadLocal = get_original("threading", "local")


class Turn(_ThreadLocal):  # type: ignore[misc,valid-type]
    """The calls that a thread's greenlets have under way; gevent's event loops are a thread's own."""

    def __init__(self) -> None:
        self._calls = 0
        self._unsent: list[Callable[[], None]] = []
        self._idle: Any = None  # a watcher of libev's, which keeps the loop from sleeping
        self._asked = 0.0  # when the last call that was alone was sent
        self._lasted = 0.0  # from then to the end of the latest call, which after many at once is long

    def begin(self) -> bool:
        """Count a call as under way; tell whether it is alone."""
        self._calls += 1
        return self._calls == 1

    def end(self) -> None:
        """Count a call as ended."""
        self._calls -= 1
        self._lasted = perf_counter() - self._asked

    def send_together(self, send: Callable[[], None]) -> None:
        """Send, with what other greenlets ask Triton in this turn of the event loop, when all have had their turn.

        Sent one by one, as each is ready, each finds Triton idle and is a batch by itself, which takes Triton as long
        as one of several.
        """
        self._unsent.append(send)
        if len(self._unsent) == 1:
            gevent.get_hub().loop.run_callback(self._send)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        for send in unsent:
            send()

    def stay_awake(self) -> None:
        """Keep the event loop from sleeping while the call just sent is alone, if the one before took a moment only.

        To wake a processor that sleeps takes some 50 us in a virtual machine, and a request is handed on several times
        until there is an answer. Only for the worker's own loop: those of a script's threads would take turns awake.
        """
        self._asked = perf_counter()
        hub = gevent.get_hub()
        if self._lasted < AWAKE_S and hub.main_hub:
            self._idle = self._idle or hub.loop.idle()
            self._idle.start(self._look)

    def _look(self) -> None:
        """Sleep after all once others are served, the call takes long, or another process wants the processor."""
        now = perf_counter()
        if self._calls == 1 and now - self._asked < AWAKE_S:
            sched_yield()
            if perf_counter() - now < UNDISTURBED_S:
                return
        self._idle.stop()
