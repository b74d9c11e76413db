"""What the answers cost: processor time, memory, and how many requests Triton put into a batch."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import requests

from .servers import Server

MIB = 2**20


@dataclass(frozen=True)
class Reading:
    """A moment of a row. cpu_s: processor seconds so far; triton: tritonserver and all below it, front: all else."""

    front_cpu_s: float
    triton_cpu_s: float
    pss_mib: float
    inferences: float
    executions: float

    @classmethod
    def of(cls, servers: Iterable[Server], model: str, metrics_port: int | None) -> Self:
        """Read the servers' processes, and Triton's counters for the model where there are some."""
        seconds = {"front": 0.0, "triton": 0.0}
        pss = 0.0
        for process in (process for server in servers for process in server.processes()):
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                times = process.cpu_times()
                seconds["triton" if _is_triton(process) else "front"] += times.user + times.system
                pss += pss_mib(process)
        inferences, executions = batches(model, metrics_port) if metrics_port else (0.0, 0.0)
        return cls(seconds["front"], seconds["triton"], pss, inferences, executions)


def pss_mib(process: psutil.Process) -> float:
    """Memory of a process; what it shares with others counts in part. Source: proc(5), smaps_rollup."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    (kib,) = re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(kib) * 1024 / MIB


def batches(model: str, metrics_port: int) -> tuple[float, float]:
    """Ask Triton how many inferences it has made of the model, and in how many executions."""
    page = requests.get(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5).text

    def sum_of(metric: str) -> float:
        pattern = rf'^{metric}{{[^}}]*model="{re.escape(model)}"[^}}]*}} (\S+)$'
        return sum(map(float, re.findall(pattern, page, re.MULTILINE)))

    return sum_of("nv_inference_count"), sum_of("nv_inference_exec_count")


def _is_triton(process: psutil.Process) -> bool:
    return any(each.name() == "tritonserver" for each in (process, *process.parents()))
