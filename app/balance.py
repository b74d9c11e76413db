"""Which worker takes a new connection: one that has no more of them than another.

A keep-alive connection stays where it was accepted. Left to chance, one worker of two had all four of a caller's.
"""

from mmap import mmap
from time import monotonic
from typing import Any

import gevent
from gevent.server import StreamServer

SLOTS = 256
WAIT_S = 0.005  # for another worker to come and take a connection
LOOK_S = 0.001  # between two looks whether it has
STUCK_S = 0.2  # without having taken one: for such workers there is no waiting

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
        self._changed_at = 0.0
        self._waits_until = 0.0

    def do_read(self) -> Any:  # noqa: ANN401
        """Accept a connection, unless there is none or it is for another to take, who is not busy for too long."""
        if self._count.is_others_turn():
            now = monotonic()
            if (of_others := self._count.of_others()) != self._of_others:
                self._of_others = of_others
                self._changed_at = now
                self._waits_until = now + WAIT_S
            if now < self._waits_until and now < self._changed_at + STUCK_S:
                self.stop_accepting()
                gevent.spawn_later(LOOK_S, self._go_on)
                return None
            self._waits_until = now + WAIT_S  # for the next one
        if accepted := super().do_read():
            self._count.add(1)
        return accepted

    def do_close(self, *connection: Any) -> None:  # noqa: ANN401
        """Close a connection that was handled."""
        super().do_close(*connection)
        self._count.add(-1)

    def _go_on(self) -> None:
        if self.started:
            self.start_accepting()
