"""The servers under test: started on free ports, asked until they answer, stopped with all they started."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import psutil
import requests

from .dialects import Request
from .venvs import BENCH, SERVICE_PYTHON

LOGS = BENCH / "build" / "logs"
START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 45.0  # more than the 30 s that Triton may take
POLL_S = 0.02
TRITON = BENCH.parent / "embedded" / "tritonserver.py"


class DoesNotStart(Exception):
    """The server ended, or does not answer; the text says which, with its last line."""


class Server:
    """A process and what it starts."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], cwd: Path) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the benchmark's; it stops the servers
            )
        self._to_stop: list[psutil.Process] = []

    def __enter__(self) -> Self:
        return self

    def terminate(self) -> None:
        """Ask it to stop."""
        self._to_stop = self.processes()
        self.resume()
        self._process.terminate()

    def __exit__(self, *_: object) -> None:
        if not self._to_stop:
            self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_DEADLINE_S)
        # Some servers leave processes behind, in their session or where they were before.
        for process in {*self._to_stop, *self.processes()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def suspend(self) -> None:
        """Hold all its processes."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        """Let them go on."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def processes(self) -> list[psutil.Process]:
        """List the process, all below it, and those of its session."""
        found = [process for process in psutil.process_iter() if _session(process.pid) == self._process.pid]
        with contextlib.suppress(psutil.NoSuchProcess):
            found += psutil.Process(self._process.pid).children(recursive=True)
        return list(dict.fromkeys(found))

    def wait_for_200(self, ask: Callable[[], requests.Response]) -> requests.Response:
        """Ask until the status is 200; gives that answer. Raises DoesNotStart."""
        end = time.monotonic() + START_DEADLINE_S
        told = "no answer"
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise DoesNotStart(f"it ended with code {self._process.returncode}; {self._end_of_log()}")
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                response = ask()
                if response.status_code == 200:
                    return response
                told = f"status {response.status_code}, {response.text[:200]}"
            time.sleep(POLL_S)
        raise DoesNotStart(f"after {START_DEADLINE_S:.0f} s still {told}; {self._end_of_log()}")

    def _end_of_log(self) -> str:
        last = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
        return f"{self.log.relative_to(BENCH.parent)} ends in: {last}"


def _session(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return None


def post(port: int, request: Request) -> requests.Response:
    """Ask once."""
    return requests.post(f"http://127.0.0.1:{port}{request.path}", request.body, headers=request.headers, timeout=30)


@contextlib.contextmanager
def shared_triton(model_directory: Path, http_port: int, metrics_port: int) -> Iterator[Server]:
    """Start the Triton that rows without one of their own ask, as the service starts its own."""
    prefix = f"bench-{http_port}-"
    command = [
        *(str(SERVICE_PYTHON), str(TRITON), f"--model-repository={model_directory / 'triton'}"),
        *("--strict-model-config=false", "--http-address=127.0.0.1", f"--http-port={http_port}"),
        *("--metrics-address=127.0.0.1", f"--metrics-port={metrics_port}", "--allow-grpc=false", "--log-info=false"),
        "--exit-timeout-secs=1",  # else it waits 30 s for callers who hung up
        "--backend-config=default-max-batch-size=64",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
    ]
    with tempfile.TemporaryDirectory() as directory:  # the launcher lays its backends out in there
        environment = {"TMPDIR": directory, "PATH": f"{SERVICE_PYTHON.parent}:{os.environ['PATH']}"}
        try:
            with Server(f"triton-{model_directory.name}", command, environment, BENCH.parent) as server:
                yield server
        finally:
            for region in Path("/dev/shm").glob(f"{prefix}*"):  # a Triton that did not wait leaves its shared memory
                region.unlink()


def triton_readiness(http_port: int) -> requests.Response:
    """Ask Triton whether it serves its models."""
    # A caller that hung up without a word counts as connected: Triton would wait for it when it stops, for 30 s.
    return requests.get(f"http://127.0.0.1:{http_port}/v2/health/ready", headers={"Connection": "close"}, timeout=5)
