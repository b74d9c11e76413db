"""A temporary directory that is full costs metrics, and no worker."""

import os
import signal
import subprocess

import pytest
from service import wait_until

SCRIPT = """
import os

from prometheus_client import Counter

def init():
    global own
    own = Counter("own", "The script's own metric.", ["number"])

def run(data):
    for number in range(int(data)):
        own.labels(f"{number:0100}").inc()
    return os.getpid()
"""


def fill(file):
    with file.open("wb", buffering=0) as full:
        for size in (65536, 4096):
            try:
                while True:
                    full.write(bytes(size))
            except OSError:
                pass


@pytest.fixture
def small(tmp_path):
    """A file system of its own, of 2 MiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", directory], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_temporary_directory_costs_metrics_and_no_worker(small, start, tmp_path):
    (tmp_path / "score.py").write_text(SCRIPT)
    service = start(TMPDIR=small, APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2).wait_ready()
    scored = 0

    def score(data):
        nonlocal scored
        scored += 1
        return service.score(str(data)).json()

    def both():
        return pids if len(pids := {score(0) for _ in range(20)}) == 2 else None

    def counted(route, status):
        return service.metric(f'scoregate_requests_total{{route="{route}",status="{status}"}}')

    def missing():
        return service.log.read_text().count("TMPDIR has no room for metrics (No space left on device)")

    pids = wait_until(both, 30, "both workers answer", service.log)
    fill(small / "fill")
    for _ in range(20):  # series that are new to both
        service.score("no number")
    wait_until(lambda: counted("/score", 500) == 20, 10, "all are counted", service.log)
    assert counted("/score", 200) == scored
    assert missing() == 0

    # The script's own series need more room than there is: the worker goes on, and says so once.
    grown = score(2000)
    assert missing() == 1
    assert both() == pids
    assert service.metric("own_total") < 2000

    # So does a new worker.
    os.kill((pids - {grown}).pop(), signal.SIGKILL)
    wait_until(lambda: (now := both()) and now != pids, 30, "another worker", service.log)
    assert missing() == 2
    assert service.metric("scoregate_worker_restarts_total") == 1

    # Once there is room, all is on the page that was counted meanwhile.
    (small / "fill").unlink()
    wait_until(lambda: counted("/score", 200) == scored, 10, "all are counted", service.log)
    assert service.metric("own_total") == 2000
    assert missing() == 2
    assert service.stop() == 0
    assert "SIGBUS" not in service.log.read_text()
