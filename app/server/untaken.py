"""The answers that callers have not taken yet: how they are sent, and how much of them a worker holds."""

import errno
import fcntl
import socket
import sys
import termios
from collections.abc import Iterator

from ..errors import TooBusy

LIMIT_BYTES = 2**30
STALL_S = 30.0  # in which a caller takes nothing of an answer, or sends nothing of a body


class CallerLeft(OSError):
    """The caller hung up, or takes nothing any more."""


class Untaken:
    """How much this worker holds of answers that callers have not taken."""

    def __init__(self) -> None:
        self._bytes = 0

    def require_room(self) -> None:
        """Let a request in. Raises TooBusy while callers leave too much of their answers with this worker."""
        if self._bytes > LIMIT_BYTES:
            raise TooBusy(
                f"Callers have not taken {self._bytes >> 20} MiB of answers, more than the {LIMIT_BYTES >> 20} MiB "
                "that a worker keeps. Try again in 1 s.",
                1,
            )

    def send(self, sock: socket.socket, *parts: bytes | memoryview) -> None:
        """Send all parts, however long it takes a caller who goes on taking them. Raises CallerLeft."""
        left = sum(map(len, parts))
        self._bytes += left
        try:
            for part in parts:
                for sent in _sending(sock, memoryview(part)):
                    left -= sent
                    self._bytes -= sent
        except OSError as error:
            raise CallerLeft(errno.EPIPE, str(error)) from error
        finally:
            self._bytes -= left


class Outgoing:
    """A connection to which Gunicorn's Response writes; it asks a socket for sendall() and nothing else."""

    def __init__(self, sock: socket.socket, untaken: Untaken) -> None:
        self._sock = sock
        self._untaken = untaken

    def sendall(self, data: bytes) -> None:
        """Send all of the data. Raises CallerLeft."""
        self._untaken.send(self._sock, data)


def _sending(sock: socket.socket, rest: memoryview) -> Iterator[int]:
    """Send the rest; yield how many bytes were sent each time. Raises TimeoutError after 30 s of nothing taken.

    gevent's sendall() takes a socket's timeout as the limit of the whole.
    """
    sock.settimeout(STALL_S)
    queued = sys.maxsize
    while rest:
        try:
            sent = sock.send(rest)
        except TimeoutError:
            # The kernel says that there is room once a third of its buffer is free. A slow reader may need longer than
            # the limit for that, and still take something all the time.
            before, queued = queued, _queued(sock)
            if queued >= before:
                raise
        else:
            rest = rest[sent:]
            if rest:
                queued = _queued(sock)
            yield sent


def _queued(sock: socket.socket) -> int:
    """Tell how many bytes the kernel holds that the other end has not taken. Source: Linux, tcp(7), SIOCOUTQ."""
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
