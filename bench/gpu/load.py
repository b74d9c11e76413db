"""The load: wrk as in the rest of the benchmark, but with several threads; one cannot send that many bytes."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import wrk
from ..dialects import Request

CORES_A_THREAD = 4  # the servers need the others
MOST_THREADS = 8


@contextlib.contextmanager
def wrk_on_path(named: Path | None) -> Iterator[None]:
    """Have the wrk that was named, if one was, found under that name."""
    with tempfile.TemporaryDirectory() as directory:
        if named:
            Path(directory, "wrk").symlink_to(named.resolve())
            os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"
        yield


def problem() -> str:
    """Tell why there is no load to be had, or ""."""
    if wrk.is_missing():
        return f"{wrk.MISSING} On a machine without a network, bring one along: --wrk PATH."
    told = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)  # ends with 1 in any case
    return "" if told.stdout.startswith("wrk ") else f"wrk does not run: {told.stderr.strip()}"


def threads() -> int:
    """Choose how many threads wrk gets."""
    return max(1, min(MOST_THREADS, (os.cpu_count() or 1) // CORES_A_THREAD))


def run(port: int, request: Request, connections: int, seconds: int) -> wrk.Load:
    """Ask for so many seconds."""
    return wrk.run(port, request, connections, seconds, threads())
