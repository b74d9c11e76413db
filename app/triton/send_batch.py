"""What the calls to Triton of one event loop have in common: when they are sent, and how the loop waits for answers."""

from collections.abc import Callable

import gevent
from gevent.monkey import get_original

from ..eventloop.spin import SpinWait

SHORT_S = 0.001

_ThreadLocal = get_original("threading", "local")


class SendBatch(_ThreadLocal):  # type: ignore[misc,valid-type]
    """The calls that a thread's greenlets have under way; gevent's event loops are a thread's own."""

    def __init__(self) -> None:
        self._calls = 0
        self._unsent: list[Callable[[], None]] = []
        # From when a call that was alone was sent to the end of the latest one, which after many at once is long.
        self._wait = SpinWait(SHORT_S, lambda: self._calls == 1)

    def begin(self) -> bool:
        """Count a call as under way; tell whether it is alone."""
        self._calls += 1
        return self._calls == 1

    def end(self) -> None:
        """Count a call as ended."""
        self._calls -= 1
        self._wait.end()

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
        """Wait awake for the answer to the call just sent, which is alone, if the one before took a moment only."""
        self._wait.begin()
