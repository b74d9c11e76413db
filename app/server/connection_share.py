"""Which worker takes a new connection: one that has less than its share of them.

A keep-alive connection stays where it was accepted. Left to chance, one worker of two had all four of a caller's.
"""

import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from mmap import mmap
from time import monotonic
from typing import Any

import gevent
from gevent.server import StreamServer

UNACKED = slice(24, 28)  # where that is in a struct tcp_info
WAIT_S = 0.005  # for another worker to come and take a connection
LOOK_S = 0.001  # between two looks whether it has
STUCK_S = 0.2  # without having taken one: for such workers there is no waiting
SLOTS = 16384  # for the workers that live at once: WORKER_COUNT, those that a reload replaces, those that finish

# How many of the slots are in use, then each worker's: 1 and its connections; 0 where there is none that accepts any.
# Made by the master, before it forks.
_shared = memoryview(mmap(-1, 4 * (1 + SLOTS))).cast("i")


class Count:
    """The connections of one worker."""

    def __init__(self, others: Iterable["Count"]) -> None:
        """Take the first free slot. others: those of the workers that live. To be called by the master."""
        taken: set[int] = {each._slot for each in others}
        self._slot: int = min(set(range(1, len(taken) + 2)) - taken)
        _shared[self._slot] = 0
        _shared[0] = max({self._slot} | taken)

    def begin(self) -> None:
        """Say that this worker accepts connections."""
        _shared[self._slot] = 1

    def end(self) -> None:
        """Say that it does not any more."""
        _shared[self._slot] = 0

    def add(self, connections: int) -> None:
        """Count one more, or one less (-1)."""
        if _shared[self._slot]:
            _shared[self._slot] += connections

    def has_its_share(self, waiting: int) -> bool:
        """Tell whether this worker has its share of all connections, and of those that wait to be accepted."""
        counts = _counts()
        workers = sum(map(bool, counts))
        return _shared[self._slot] * workers >= sum(counts) + waiting

    def of_others(self) -> int:
        """Tell how many connections the others have."""
        return sum(_counts()) - _shared[self._slot]


def _counts() -> memoryview:
    return _shared[1 : 1 + _shared[0]]


class Server(StreamServer):
    """A listener from which a worker that has its share takes one more only a moment later, if it is still there."""

    def __init__(self, count: Count, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gevent's
        super().__init__(*args, **kwargs)
        self._count = count
        self._of_others = -1
        self._changed_at = 0.0
        self._waits_until = 0.0

    def do_read(self) -> Any:  # noqa: ANN401
        """Accept a connection, unless there is none or it is for another to take, who is not busy for too long."""
        if (waiting := _waiting(self.socket)) and self._count.has_its_share(waiting):
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


def _waiting(listener: socket.socket) -> int:
    """Count the connections that wait to be accepted. Source: Linux, struct tcp_info; of a listener, tcpi_unacked."""
    with suppress(OSError):  # a Unix socket's cannot be counted
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACKED.stop)
        return int.from_bytes(info[UNACKED], sys.byteorder)
    return 1
