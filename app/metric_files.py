"""The files of a process's metrics, allocated whole: a full disk costs metrics, not the process.

prometheus_client's own have holes. To write into a hole when the disk is full is a SIGBUS.
"""

import logging
import os
from mmap import mmap
from pathlib import Path
from typing import Any, ClassVar

from prometheus_client import mmap_dict

LOG = logging.getLogger("scoregate")
FIRST_BYTES = 65536  # prometheus_client's size, too; twice what this service's own metrics need
BESIDE_KEY = 64  # bytes that an entry has beside its key, and more


class MetricFile(mmap_dict.MmapedDict):
    """prometheus_client's, in the file of this name; in memory, which no page of metrics shows, if that has no room."""

    told_by: ClassVar[int] = 0  # the last process that has said so

    # prometheus_client's members, which it does not declare.
    _f: Any
    _m: Any
    _used: int
    _capacity: int

    def __init__(self, filename: str) -> None:
        try:
            with Path(filename).open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, FIRST_BYTES)
            super().__init__(filename)  # type: ignore[no-untyped-call]
        except OSError as error:
            Path(filename).unlink(missing_ok=True)
            with _memory(FIRST_BYTES) as file:
                super().__init__(f"/proc/self/fd/{file.fileno()}")  # type: ignore[no-untyped-call]
            self._tell(error)

    def _init_value(self, key: str) -> None:
        """Write a new entry, once there is room for it."""
        needed = self._used + len(key.encode()) + BESIDE_KEY
        if needed > self._capacity:
            self._grow(2 * needed)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, capacity: int) -> None:
        try:
            os.posix_fallocate(self._f.fileno(), 0, capacity)
        except OSError as error:
            begun = self._m[:]
            self.close()  # type: ignore[no-untyped-call]
            self._f = _memory(capacity)
            self._f.write(begun)
            self._f.flush()
            self._tell(error)
        self._m = mmap(self._f.fileno(), capacity)
        self._capacity = capacity

    def _tell(self, error: OSError) -> None:
        """Tell once in each process."""
        if MetricFile.told_by != os.getpid():
            MetricFile.told_by = os.getpid()
            LOG.warning(
                "TMPDIR has no room for metrics (%s): what this process counts from now on is not on /metrics. "
                "Make room, then reload or restart.",
                error.strerror,
            )


def _memory(size: int) -> Any:  # noqa: ANN401 - an open file
    file = os.fdopen(os.memfd_create("metrics"), "r+b")
    file.truncate(size)
    return file
