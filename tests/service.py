"""The service as a user has it: supervisord, tritonserver, Gunicorn, on free ports."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from bench.ports import free_ports

ROOT = Path(__file__).parent.parent
SCENARIOS = ROOT / "tests" / "scenarios"
START_DEADLINE_S = 120
STOP_DEADLINE_S = 60


def wait_until(condition: Callable[[], object], deadline_s: float, what: str, log: Path | None = None) -> object:
    """Poll until the condition holds; past the deadline fail with the log."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with contextlib.suppress(requests.ConnectionError):
            if held := condition():
                return held
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {deadline_s} s\n{log.read_text() if log else ''}")


class Service:
    """A running service; `env` is what the user set."""

    def __init__(self, log: Path, env: dict[str, str]) -> None:
        self.port, self.triton_port, self.triton_metrics_port = free_ports(3)
        self.triton_url = f"http://127.0.0.1:{self.triton_port}"
        self.log = log
        ports = {
            "PORT": str(self.port),
            "TRITON_HTTP_PORT": str(self.triton_port),
            "TRITON_METRICS_PORT": str(self.triton_metrics_port),
            "DRAIN_SECONDS": "0",
            "READY_PROBE_SECONDS": "0",
        } | env
        self.env = ports
        self.url = f"http://{ports.get('HOST', '127.0.0.1')}:{ports['PORT']}"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scoregate.cli.serve", "-c", "supervisord.conf"],
                cwd=ROOT,
                env=os.environ | ports,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def directory(self) -> Path:
        """Where the service has its files."""
        host = self.env.get("HOST", "0.0.0.0")
        return Path(tempfile.gettempdir(), f"scoregate-{os.getuid()}-{host}-{self.env['PORT']}")

    def wait_ready(self) -> "Service":
        def ready_or_dead() -> object:
            assert self.process.poll() is None, f"The service ended:\n{self.log.read_text()}"
            return requests.get(self.url + "/health/ready", timeout=5).status_code == 200

        wait_until(ready_or_dead, START_DEADLINE_S, "ready", self.log)
        return self

    def wait_end(self) -> int:
        return self.process.wait(START_DEADLINE_S)

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def score(self, body: object, **kwargs: object) -> requests.Response:
        sent = {"data": body} if isinstance(body, str | bytes) else {"json": body}
        return requests.post(self.url + "/score", timeout=30, **sent, **kwargs)

    def wait_log(self, text: str) -> str:
        """Wait for the text, which supervisord may pass on after the answer has come; returns the log."""
        wait_until(lambda: text in self.log.read_text(), 10, f"{text!r} in the log", self.log)
        return self.log.read_text()

    def children(self, name: str) -> list[int]:
        """Pids of the processes below supervisord whose command line contains name."""
        return [pid for pid in descendants(self.process.pid) if name in command_line(pid)]

    def metric(self, line_start: str) -> float:
        """Sum of the samples of /metrics whose line starts so."""
        lines = requests.get(self.url + "/metrics", timeout=5).text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(line_start))


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found
