"""Models of which Triton has said that their process is dead: told by any worker, to the one worker that looks.

Through a pipe that the master makes before it forks, so that all workers have it and nobody can remove it.
"""

import os
from contextlib import suppress

from gevent import socket

END = b"\0"  # of a name
CAPACITY_BYTES = 65536  # of a pipe, on Linux

_read, _write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)


def tell(model: str) -> None:
    """Have somebody look at a model, at once."""
    with suppress(BlockingIOError):  # the pipe is full: there is enough to look at
        os.write(_write, model.encode() + END)


def wait(seconds: float) -> set[str]:
    """Wait so long for models to look at; an empty set if there are none. Only for the one who looks."""
    with suppress(TimeoutError, BlockingIOError):
        socket.wait_read(_read, seconds, TimeoutError())
        return {name.decode() for name in os.read(_read, CAPACITY_BYTES).split(END) if name}
    return set()
