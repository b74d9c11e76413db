"""The load: wrk, as many connections as there are callers, each asking again once it has its answer."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .dialects import Request

SCRIPT = Path(__file__).parent / "post.lua"
MISSING = "wrk is missing. Install it: apt-get install wrk (Debian, Ubuntu)."


@dataclass(frozen=True)
class Load:
    """How a run went. errors: connections that failed and answers that were not 2xx or 3xx."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def is_missing() -> bool:
    """Whether there is no wrk on PATH."""
    return shutil.which("wrk") is None


def run(port: int, request: Request, connections: int, seconds: int, threads: int = 1) -> Load:
    """Ask for so many seconds. threads: wrk's; one is enough for all but large bodies on many cores."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(request.body)
        body.flush()
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        done = subprocess.run(
            [
                *("wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--latency", "--timeout", "30"),
                *("-s", str(SCRIPT), f"http://127.0.0.1:{port}{request.path}"),
            ],
            env=os.environ | {"BENCH_BODY": body.name, "BENCH_HEADERS": headers},
            capture_output=True,
            text=True,
            check=True,
        )
    told = json.loads(done.stdout.strip().rpartition("\n")[2])
    return Load(
        requests=told["requests"],
        requests_per_s=told["requests"] / told["duration_us"] * 1e6,
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
        errors=sum(told["errors"].values()),
    )
