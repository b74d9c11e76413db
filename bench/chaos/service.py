"""The service as its user starts it, and its processes. Needs nothing but the standard library."""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..ports import free_ports
from ..venvs import BENCH, SERVICE_PYTHON

ROOT = BENCH.parent
LOGS = BENCH / "build" / "logs"
SHARED_MEMORY = Path("/dev/shm")
SCRIPT = ROOT / "examples" / "digits" / "score.py"
WORKERS = 2
START_S = 90.0
STOP_S = 60.0
VANISH_S = 5.0  # for processes that outlive supervisord
POLL_S = 0.05
_RANDOM = random.Random(0)


class Gone(Exception):
    """The service, or a part of it, is not there and does not come; the text says which."""


class Process(NamedTuple):
    """A line of the process table. Source: proc_pid_stat(5)."""

    pid: int
    state: str
    parent: int
    session: int


class Signalled(NamedTuple):
    """A process that was sent a signal. at: just before, time.monotonic() in s."""

    pid: int
    at: float


class Service:
    """A service that runs.

    problems: what befell it that should not. stop_at: when it was told to end, time.monotonic() in s. stop_s: how long
    it took to end.
    """

    stop_at: float
    stop_s: float

    def __init__(self, name: str, directory: Path, **settings: str) -> None:
        self.port, self.triton_port, metrics_port = free_ports(3)
        self.problems: list[str] = []
        self._script = directory / "score.py"
        self.write_script(0)
        settings = {
            "DRAIN_SECONDS": "0",
            "TRITON_DEFAULT_MAX_BATCH_SIZE": "512",  # for large questions
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "TRITON_HTTP_PORT": str(self.triton_port),
            "TRITON_METRICS_PORT": str(metrics_port),
            "WORKER_COUNT": str(WORKERS),
            "ENTRY_SCRIPT": str(self._script),
            **settings,
        }
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"chaos-{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(SERVICE_PYTHON), "-m", "scoregate.cli.serve", "-c", "supervisord.conf"],
                cwd=ROOT,
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # by it, processes are found whose parent was killed
            )

    def write_script(self, number: int) -> None:
        """Put the digits example in place, with this number in each answer."""
        new = self._script.with_suffix(".new")
        new.write_text(SCRIPT.read_text().replace("return {", f'return {{"script": {number}, '))
        new.replace(self._script)  # at once: a worker that starts reads the whole of either

    def wait_ready(self) -> None:
        """Wait until it says so. Raises Gone."""
        end = time.monotonic() + START_S
        while not self._is_ready():
            self.require_running()
            if time.monotonic() > end:
                raise Gone(f"The service is not ready after {START_S:.0f} s, see {self.log.relative_to(ROOT)}.")
            time.sleep(POLL_S)

    def require_running(self) -> None:
        """Raise Gone if supervisord has ended."""
        if self._process.poll() is not None:
            code = self._process.returncode
            raise Gone(f"The service ended with code {code}, see {self.log.relative_to(ROOT)}.")

    def stop(self) -> None:
        """Send SIGTERM and wait. What is left then is killed."""
        self.stop_at = time.monotonic()
        self._process.terminate()
        try:
            if code := self._process.wait(STOP_S):
                self.problems.append(f"it ended with code {code}")
        except subprocess.TimeoutExpired:
            self.problems.append(f"it had not ended {STOP_S:.0f} s after SIGTERM")
        self.stop_s = time.monotonic() - self.stop_at
        # The dead among them are for whoever inherited them.
        while left := [each for each in self.processes() if each.state != "Z"]:
            if time.monotonic() > self.stop_at + self.stop_s + VANISH_S:
                break
            time.sleep(POLL_S)
        if left:
            names = Counter(Path(_command_line(each.pid).split(" ")[0]).name for each in left)
            self.problems.append("left behind: " + ", ".join(f"{count} {name}" for name, count in names.items()))
            for each in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
        self._process.wait()
        if regions := self.shared_memory():
            self.problems.append(f"left behind: {len(regions)} entries of {SHARED_MEMORY}")
            for region in regions:
                region.unlink(missing_ok=True)

    def signal_one(self, find: Callable[[], list[int]], number: signal.Signals) -> Signalled:
        """Signal one of the processes found, at random; waits until there is one. Raises Gone."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            self.require_running()
            if found := find():
                chosen = Signalled(_RANDOM.choice(found), time.monotonic())
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chosen.pid, number)
                    return chosen
            time.sleep(POLL_S)
        raise Gone(f"No process to send {number.name} to came up within {START_S:.0f} s.")

    def triton(self) -> list[int]:
        """Find tritonserver."""
        return self._below(self._process.pid, "tritonserver")

    def master(self) -> list[int]:
        """Find Gunicorn's master."""
        return self._below(self._process.pid, "scoregate.server.master")

    def workers(self) -> list[int]:
        """Find Gunicorn's workers."""
        return [worker for master in self.master() for worker in self._below(master, "scoregate.server.master")]

    def stubs(self) -> list[int]:
        """Find the processes in which the model that is asked runs."""
        return [
            stub
            for triton in self.triton()
            for stub in self._below(triton, "triton_python_backend_stub")
            if "/digits/" in _command_line(stub)
        ]

    def processes(self) -> list[Process]:
        """List all of them, those without a parent included."""
        return [each for each in _process_table() if each.session == self._process.pid]

    def shared_memory(self) -> list[Path]:
        """List its entries of /dev/shm, Triton's and the workers'; they begin as app/settings.py says."""
        return list(SHARED_MEMORY.glob(f"scoregate-{os.getuid()}-*-{self.port}-*"))

    def regions(self) -> int:
        """Count the workers' regions of shared memory that Triton holds. Raises Gone if it does not say."""
        connection = http.client.HTTPConnection("127.0.0.1", self.triton_port, timeout=5)
        try:
            connection.request("GET", "/v2/systemsharedmemory/status")
            return len(json.load(connection.getresponse()))
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"Triton does not tell its regions: {error}") from error
        finally:
            connection.close()

    def _below(self, parent: int, text: str) -> list[int]:
        """List the children whose command line contains the text; the dead have none."""
        return [each.pid for each in self.processes() if each.parent == parent and text in _command_line(each.pid)]

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def running(name: str, **settings: str) -> Iterator[Service]:
    """Run a service with these settings, ready to be asked; name: the log's. Raises Gone."""
    with tempfile.TemporaryDirectory() as directory:
        service = Service(name, Path(directory), **settings)
        try:
            service.wait_ready()
            yield service
        finally:
            service.stop()


def _process_table() -> Iterator[Process]:
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            # The command before it stands in brackets and may contain some.
            fields = (directory / "stat").read_text().rpartition(") ")[2].split()
            yield Process(int(directory.name), fields[0], int(fields[1]), int(fields[3]))


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
