"""A process that a script forks, with multiprocessing for example: it goes on with what forked it, and nothing else.

The child has a copy of all of the worker: its greenlets, which would go on with everybody's requests as soon as the
child waits, its handlers of signals, its connections. So it gets an event loop of its own, in which only the greenlet
that forked goes on, and each part of the service lets go of what is the worker's (`in_child`).
"""

import math
import os
import select
import subprocess
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import SemLock
from time import monotonic
from typing import Any

import gevent
from gevent import monkey
from gevent._hub_local import set_hub
from greenlet import greenlet

POLL_S = 0.002  # between two looks at a lock that another process has

_lets_go: list[Callable[[], object]] = []
_kept: list[object] = []  # what is left of the worker; were it collected, its greenlets would be ended, one by one


def in_child(let_go: Callable[[], object]) -> None:
    """Call this in each process that is forked from a worker."""
    _lets_go.append(let_go)


def begin() -> None:
    """Look after what is forked from now on. To be called by a worker."""
    os.register_at_fork(after_in_child=_leave_worker)
    # What waits for another process lets the threads go on that feed its queues; they are greenlets of this thread.
    Connection._recv.__defaults__ = (_read,)  # type: ignore[attr-defined]
    Connection._send.__defaults__ = (_write,)  # type: ignore[attr-defined]
    SemLock._make_methods = _make_methods  # type: ignore[attr-defined]
    SemLock.__enter__ = lambda lock: lock.acquire()  # type: ignore[method-assign]


def _leave_worker() -> None:
    old, here = gevent.get_hub(), gevent.getcurrent()
    _kept.extend((old, here.parent))
    set_hub(old.__class__(default=False))
    if here.parent is not None:  # where it would go on once it has ended: in the worker's loop
        main = here.parent
        while main.parent is not None:
            main = main.parent
        guard = greenlet(_end_with, main)
        guard.switch(here)
        here.parent = guard
    # Of the system again, not of gevent: only the loop of the worker can be told of processes that end.
    for module in (os, subprocess):
        for name, original in monkey.saved[module.__name__].items():  # type: ignore[attr-defined]
            setattr(module, name, original)
    for let_go in _lets_go:
        let_go()


def _read(descriptor: int, size: int) -> bytes:
    gevent.socket.wait_read(descriptor)
    return os.read(descriptor, size)


def _write(descriptor: int, data: memoryview) -> int:
    gevent.socket.wait_write(descriptor)
    return os.write(descriptor, data[: select.PIPE_BUF])  # for which there is room


def _make_methods(lock: Any) -> None:  # noqa: ANN401 - SemLock, of which the stubs do not say all
    semaphore = lock._semlock

    def acquire(block: bool = True, timeout: float | None = None) -> bool:
        ends = math.inf if timeout is None else monotonic() + timeout
        while not semaphore.acquire(False):
            if not block or monotonic() >= ends:
                return False
            gevent.sleep(POLL_S)
        return True

    lock.acquire, lock.release = acquire, semaphore.release


def _end_with(last: greenlet) -> None:
    """End the process once this greenlet has ended."""
    status = 1
    try:
        last.switch()
        status = 0
    finally:
        os._exit(status)
