"""supervisord's output, written by a thread: whoever does not read it holds nobody up."""

import atexit
import io
import os
import select
import sys
import threading
from collections import deque
from typing import Any

ROOM_BYTES = 1 << 20  # of what waits to be written; past it lines are dropped and counted
LAST_S = 1.0  # for the last lines, when the process ends


class LogStream(io.RawIOBase):
    """A file descriptor to write to without waiting.

    It is not set to O_NONBLOCK: that would be so for all who share what it was opened for, as with a terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()  # its first is being written
        self._bytes = 0
        self._dropped = 0  # lines
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def fileno(self) -> int:
        """Tell the descriptor; supervisor leaves those of the standard streams open."""
        return self._descriptor

    def writable(self) -> bool:
        """Say so to io.TextIOWrapper."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Take it all, or drop it."""
        data = bytes(data)
        with self._changed:
            if self._bytes + len(data) > ROOM_BYTES:
                self._dropped += data.count(b"\n") or 1
            else:
                self._tell_dropped()
                self._append(data)
        return len(data)

    def finish(self) -> None:
        """Wait until all is written, for LAST_S at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, LAST_S)

    def _append(self, data: bytes) -> None:
        self._waiting.append(data)
        self._bytes += len(data)
        self._changed.notify_all()

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._append(f"scoregate: {self._dropped} lines of the log were dropped: nobody read them.\n".encode())
            self._dropped = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting[0]
            self._write_all(data)
            with self._changed:
                self._waiting.popleft()
                self._bytes -= len(data)
                if not self._waiting:
                    self._tell_dropped()
                self._changed.notify_all()

    def _write_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # somebody else has set O_NONBLOCK
                select.select([], [self._descriptor], [])
            except OSError:  # the reader has gone, or the disk is full
                return


def take_over() -> LogStream:
    """Let this process's stdout and stderr be such streams; return that of stdout.

    They are one if they are the same file, so that lines keep their order.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # it is closed, and the next file to be opened would be written to in its place
            os.open(os.devnull, os.O_RDWR)
    log = LogStream(1)
    errors = log if os.path.samestat(os.fstat(1), os.fstat(2)) else LogStream(2)
    for each in {log, errors}:
        atexit.register(each.finish)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(each, errors="backslashreplace", write_through=True)  # type: ignore[type-var]
        for each in (log, errors)
    )
    return log
