"""The states of the service: starting, ready, draining, stopped. Nothing else decides them.

Every process of the service asks and tells here. What they tell is kept as files in a directory of the service's own,
so that it outlives a killed process and can be looked at: `worker-<pid>` for each worker that can score, `ready` from
the first time on that as many can as were asked for, `draining` once the service was told to stop, `models-failing`
with what is said of models that do not answer although Triton says that they are ready, `fault` once a worker has told
why it cannot start, and `prober`, which the worker has locked that asks the models.
"""

import contextlib
import os
import shutil
import tempfile
from enum import Enum
from pathlib import Path


class State(Enum):
    """What the service as a whole does; it is stopped when no process is left to say so."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The service's state. directory: the service's temporary one, where TMPDIR points in its programs."""

    def __init__(self, worker_count: int, directory: Path | None = None) -> None:
        self.worker_count = worker_count
        self._room = (directory or Path(tempfile.gettempdir())) / "lifecycle"

    def begin(self) -> None:
        """Start anew, as a Gunicorn does that has no worker yet. A service that drains goes on draining."""
        if self.state is not State.DRAINING:
            shutil.rmtree(self._room, ignore_errors=True)
        self._room.mkdir(exist_ok=True)

    @property
    def state(self) -> State:
        """Tell what the service does. It stays ready while workers are replaced; those that can score do it."""
        if (self._room / "draining").exists():
            return State.DRAINING
        return State.READY if (self._room / "ready").exists() else State.STARTING

    def ready_workers(self) -> set[int]:
        """List the pids of the workers that can score."""
        return {int(each.name.removeprefix("worker-")) for each in self._room.glob("worker-*")}

    def worker_ready(self) -> bool:
        """Say that this worker can score; tell whether that has made the service ready."""
        (self._room / f"worker-{os.getpid()}").touch()
        return len(self.ready_workers()) >= self.worker_count and self._first("ready")

    def worker_gone(self, pid: int) -> None:
        """Say that a worker has ended."""
        (self._room / f"worker-{pid}").unlink(missing_ok=True)

    def drain(self) -> None:
        """Say that the service was told to stop."""
        self._room.mkdir(exist_ok=True)
        (self._room / "draining").touch()

    @property
    def prober_lock(self) -> Path:
        """The file whose lock the one worker holds that probes the models."""
        return self._room / "prober"

    def fault_is_new(self) -> bool:
        """Tell one worker of those that find the same fault in the entry script that it is the first."""
        return self._first("fault")

    def forget_fault(self) -> None:
        """Let the next fault be told; another script has taken the place of the one that had it."""
        (self._room / "fault").unlink(missing_ok=True)

    @property
    def models_failing(self) -> str:
        """Tell which models do not answer, in one sentence; empty when all do."""
        with contextlib.suppress(FileNotFoundError):
            return (self._room / "models-failing").read_text()
        return ""

    @models_failing.setter
    def models_failing(self, sentence: str) -> None:
        file = self._room / "models-failing"
        if sentence:
            file.with_suffix(".new").write_text(sentence)
            file.with_suffix(".new").replace(file)
        else:
            file.unlink(missing_ok=True)

    def _first(self, name: str) -> bool:
        try:
            (self._room / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
