"""The files in which each process keeps its metrics: allocated whole, and written anew when somebody removed them.

prometheus_client's own have holes. To write into a hole when the disk is full is a SIGBUS, the end of the process.
Source: prometheus_client's multiprocess mode.
"""

import logging
import os
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

LOG = logging.getLogger("scoregate")
FIRST_BYTES = 65536  # prometheus_client's size, too; twice what this service's own metrics need
BESIDE_KEY = 64  # bytes that an entry has beside its key, and more


class _File(MmapedDict):
    """One of them; memory that no page of metrics shows while there is no room for a file."""

    of_process: ClassVar[list["_File"]] = []
    told_by: ClassVar[int] = 0  # the last process that has told that there is no room

    # Its name, file and map have no public names in prometheus_client.
    _fname: str
    _f: Any
    _m: mmap
    _used: int
    _capacity: int

    def __init__(self, filename: str) -> None:
        try:
            _make(filename)
            super().__init__(filename)  # type: ignore[no-untyped-call]
        except OSError as error:
            with suppress(OSError):
                Path(filename).unlink(missing_ok=True)
            with _memory(FIRST_BYTES) as file:
                super().__init__(f"/proc/self/fd/{file.fileno()}")  # type: ignore[no-untyped-call]
            self._fname = filename
            self._tell(error)
        self.of_process.append(self)

    def _init_value(self, key: str) -> None:
        """Write a new entry, once there is room for it."""
        needed = self._used + len(key.encode()) + BESIDE_KEY
        if needed > self._capacity:
            self._grow(2 * needed)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, capacity: int) -> None:
        file = self._f
        try:
            os.posix_fallocate(file.fileno(), 0, capacity)
        except OSError as error:
            file = _memory(capacity)
            file.write(self._m)
            file.flush()
            self._tell(error)
        self._go_on_in(file, capacity)

    def put_back(self) -> None:
        """Go on in a file of this name, unless this is that file: it was removed, or there was no room for it."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._f.fileno()), Path(self._fname).stat()):
                return
        new = Path(f"{self._fname}.new")
        try:
            _make(str(new), self._capacity)
            file = new.open("r+b")
            file.write(self._m)
            file.flush()
            new.replace(self._fname)
        except OSError:  # the next time, perhaps
            with suppress(OSError):
                new.unlink(missing_ok=True)
            return
        self._go_on_in(file, self._capacity)

    def _go_on_in(self, file: Any, capacity: int) -> None:  # noqa: ANN401
        self._f, self._m, self._capacity = file, mmap(file.fileno(), capacity), capacity

    def _tell(self, error: OSError) -> None:
        """Tell once in each process."""
        if _File.told_by != os.getpid():
            _File.told_by = os.getpid()
            LOG.warning(
                "TMPDIR has no room for metrics (%s): until it has, /metrics lacks what this process counts.",
                error.strerror,
            )


def put_back() -> None:
    """Write this process's files if they are missing: somebody has removed them, or there was no room for them."""
    for file in _File.of_process:
        file.put_back()


def _make(filename: str, size: int = FIRST_BYTES) -> None:
    """Make a file whose bytes are all there."""
    Path(filename).parent.mkdir(parents=True, exist_ok=True)
    with Path(filename).open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _memory(size: int) -> Any:  # noqa: ANN401 - an open file
    file = os.fdopen(os.memfd_create("metrics"), "r+b")
    file.truncate(size)
    return file


values.MmapedDict = _File  # type: ignore[attr-defined, assignment]
os.register_at_fork(after_in_child=_File.of_process.clear)
