"""Which worker takes a new connection: one that has no more of them than another.

A keep-alive connection stays where it was accepted. Left to chance, one worker of two had all four of a caller's.
"""

from mmap import mmap
from time import monotonic
from typing import Any

import gevent
from gevent.server import StreamServer

SLOTS = 256
WAIT_S = 0.005  # for another worker to come
LOOK_S = 0.001  # between two looks whether it has

# In each worker's slot, by its age: 1 and its connections; 0 where there is none. Made by the master, before it forks.
_counts = memoryview(mmap(-1, 4 * SLOTS)).cast("i")


class Count:
    """The connections of one worker."""

    def __init__(self, age: int) -> None:
        """age: Gunicorn's number of the worker."""
        self._slot = age % SLOTS

    def begin(self) -> None:
        """Say that this worker accepts connections."""
        _counts[self._slot] = 1

    def end(self) -> None:
        """Say that it does not any more."""
        _counts[self._slot] = 0

    def add(self, connections: int) -> None:
        """Count one more, or one less (-1)."""
        if _counts[self._slot]:
            _counts[self._slot] += connections

    def is_others_turn(self) -> bool:
        """Tell whether another worker has fewer connections."""
        return min(filter(None, _counts), default=0) < _counts[self._slot]

    def of_others(self) -> int:
        """Tell how many connections the others have."""
        return sum(_counts) - _counts[self._slot]


class Server(StreamServer):
    """A listener from which a worker with more connections than another takes the next one a moment later."""

    def __init__(self, count: Count, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gevent's
        super().__init__(*args, **kwargs)
        self._count = count
        self._of_others = -1
        self._waits_until = 0.0

    def do_read(self) -> Any:  # noqa: ANN401
        """Accept a connection, unless there is none or it is for another to take.

        Who has waited for the others in vain, since they are busy, does not wait again until they have taken one.
        """
        if self._count.is_others_turn():
            if (of_others := self._count.of_others()) != self._of_others:
                self._of_others = of_others
                self._waits_until = monotonic() + WAIT_S
            if monotonic() < self._waits_until:
                self.stop_accepting()
                gevent.spawn_later(LOOK_S, self._go_on)
                return None
        return super().do_read()

    def _go_on(self) -> None:
        if self.started:
            self.start_accepting()
