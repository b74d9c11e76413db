"""The states of the service: starting, ready, draining, stopping. Nothing else decides them.

Every process of the service asks and tells here. The facts lie in one small file in memory. supervisord opens it; the
others reach it through supervisord's /proc/<pid>/fd, so nobody can remove it. No question and no answer here fails for
what happens to files, so signal handlers may ask and tell.
"""

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

VARIABLE = "SCOREGATE_LIFECYCLE"  # names the file in the environment of supervisord's programs
MEMORY_NAME = "scoregate-lifecycle"
MOST_WORKERS = 8192  # at one moment: of WORKER_COUNT=1024, also those that a reload replaces
SENTENCE_BYTES = 4096


class State(Enum):
    """What the service as a whole does; it is stopped when no process is left to say so."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"  # it was told to stop, and still accepts requests
    STOPPING = "stopping"  # it accepts none any more


class _Facts(ctypes.Structure):
    """What the file holds. Each field is written at once; a sentence beside the one that is read, which is then told.

    ready: pids of the workers that can score, 0 where there is none. was_ready: whether all workers could at some time.
    """

    worker_count: int
    draining: bool
    stopping: bool
    was_ready: bool
    fault_told: bool
    sentence: int
    models_failing: Any
    ready: Any
    _fields_ = (
        ("worker_count", ctypes.c_int),
        ("draining", ctypes.c_bool),
        ("stopping", ctypes.c_bool),
        ("was_ready", ctypes.c_bool),
        ("fault_told", ctypes.c_bool),
        ("sentence", ctypes.c_uint8),
        ("models_failing", ctypes.c_char * SENTENCE_BYTES * 2),
        ("ready", ctypes.c_int * MOST_WORKERS),
    )


def exists(path: Path) -> bool:
    """Tell whether this is, or leads to, the file of a service that runs; its number may be another file's by now."""
    return MEMORY_NAME in os.path.realpath(path)


class Lifecycle:
    """The service's state."""

    def __init__(self, path: Path | None = None) -> None:
        """path: of the file, if it is not the one that the environment names. Raises OSError where it is gone."""
        self.path = path or Path(os.environ[VARIABLE])
        if not exists(self.path):
            raise FileNotFoundError(errno.ENOENT, "no service has its state there", str(self.path))
        self._file = os.open(self.path, os.O_RDWR)
        self._facts = _Facts.from_buffer(mmap.mmap(self._file, ctypes.sizeof(_Facts)))
        self._prober: int | None = None

    @classmethod
    def create(cls, worker_count: int) -> "Lifecycle":
        """Make the file, which lasts as long as this process."""
        file = os.memfd_create(MEMORY_NAME)
        os.ftruncate(file, ctypes.sizeof(_Facts))
        lifecycle = cls(Path(f"/proc/{os.getpid()}/fd/{file}"))
        lifecycle._facts.worker_count = worker_count
        return lifecycle

    @property
    def worker_count(self) -> int:
        """Tell how many workers were asked for."""
        return self._facts.worker_count

    def begin(self) -> None:
        """Start anew, as a Gunicorn does that has no worker yet. A service that drains goes on draining."""
        worker_count, draining = self._facts.worker_count, self._facts.draining
        ctypes.memset(ctypes.byref(self._facts), 0, ctypes.sizeof(_Facts))
        self._facts.worker_count, self._facts.draining = worker_count, draining

    @property
    def state(self) -> State:
        """Tell what the service does. It stays ready while workers are replaced; those that can score do it."""
        if self._facts.stopping:
            return State.STOPPING
        if self._facts.draining:
            return State.DRAINING
        return State.READY if self._facts.was_ready else State.STARTING

    @property
    def is_ending(self) -> bool:
        """Tell whether the service was told to stop, so that callers are better off elsewhere."""
        return self._facts.draining or self._facts.stopping

    def ready_workers(self) -> set[int]:
        """List the pids of the workers that can score."""
        return set(filter(None, self._facts.ready[:]))

    def worker_ready(self) -> bool:
        """Say that this worker can score; tell whether that has made the service ready."""
        with self._alone():
            pids: list[int] = self._facts.ready[:]
            self._facts.ready[pids.index(0)] = os.getpid()
            makes_ready = not self._facts.was_ready and len(self.ready_workers()) >= self.worker_count
            self._facts.was_ready |= makes_ready
        return makes_ready

    def worker_gone(self, pid: int) -> None:
        """Say that a worker has ended."""
        with self._alone():
            pids: list[int] = self._facts.ready[:]
            if pid in pids:
                self._facts.ready[pids.index(pid)] = 0

    def drain(self) -> None:
        """Say that the service was told to stop."""
        self._facts.draining = True

    def stop(self) -> None:
        """Say that all workers are about to be told to stop."""
        self._facts.stopping = True

    def becomes_prober(self) -> bool:
        """Tell whether this worker is the one that asks the models. Once it is, it stays so until it ends."""
        if self._prober is None:
            file = os.open(self.path, os.O_RDWR)  # a lock of flock() goes with the last copy of what was opened
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                return False
            self._prober = file
            # It would hold the lock when this worker has ended.
            os.register_at_fork(after_in_child=lambda: os.close(file))
        return True

    def fault_is_new(self) -> bool:
        """Tell one worker of those that find the same fault in the entry script that it is the first."""
        with self._alone():
            is_new = not self._facts.fault_told
            self._facts.fault_told = True
        return is_new

    def forget_fault(self) -> None:
        """Let the next fault be told; another script has taken the place of the one that had it."""
        self._facts.fault_told = False

    @property
    def models_failing(self) -> str:
        """Tell which models do not answer, in one sentence; empty when all do."""
        text: bytes = self._facts.models_failing[self._facts.sentence].value
        return text.decode(errors="replace")

    @models_failing.setter
    def models_failing(self, sentence: str) -> None:
        other = 1 - self._facts.sentence
        text = sentence.encode().replace(b"\0", b"")[:SENTENCE_BYTES]
        self._facts.models_failing[other].value = text
        self._facts.sentence = other

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time look and then write. The lock goes with a process that is killed."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
