"""What a request holds of its worker's memory, as a multiple of its body; what idle connections hold."""

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from .. import cases
from ..dialects import ask_plainly
from ..meter import pss_mib
from ..rows import Row
from .connection import Connection
from .part import Figures, Part, alone, services

BODIES = (588 * 2**10, 12 * 2**20)
IN_FLIGHT = (1, 8)
IN_A_ROW = 20  # requests of each caller: what an answered one leaves behind counts, too
IDLE = range(0, 5001, 1000)


def measure_bodies() -> Figures:
    """Let some callers ask a fresh worker, and see how far its memory went up."""
    figures: Figures = []
    for peer in services():
        for size in BODIES:
            for in_flight in IN_FLIGHT:
                with alone(peer, cases.mean(16)) as row:
                    growth = peak_growth_bytes(row, size, in_flight)
                figures.append(
                    {
                        "service": peer.name,
                        "body bytes": size,
                        "in flight": in_flight,
                        "growth MiB": growth / 2**20,
                        "growth of one ÷ its body": growth / in_flight / size,
                    }
                )
    return figures


def peak_growth_bytes(row: Row, size: int, in_flight: int) -> int:
    """Give the worker's peak resident memory during the requests, less what it had before them."""
    (worker,) = [process for process in row.servers[-1].processes() if is_worker(process)]
    request = ask_plainly(cases.mean(size))
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(in_flight) as pool:
        connections = [stack.enter_context(Connection(row.launch.port)) for _ in range(in_flight)]
        Path(f"/proc/{worker.pid}/clear_refs").write_text("5")  # the peak begins anew; proc(5)
        before = status_bytes(worker, "VmRSS")
        list(pool.map(lambda connection: [connection.ask(request) for _ in range(IN_A_ROW)], connections))
    return status_bytes(worker, "VmHWM") - before


def is_worker(process: psutil.Process) -> bool:
    """Whether it is Gunicorn's child, its master being Gunicorn, too."""
    parent = process.parent()
    return parent is not None and all("gunicorn" in " ".join(each.cmdline()) for each in (process, parent))


def status_bytes(process: psutil.Process, field: str) -> int:
    """Read a line of /proc/<pid>/status."""
    (kib,) = re.findall(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return int(kib) * 1024


def measure_idle() -> Figures:
    """Open connections, ask once on each, leave them open."""
    figures: Figures = []
    for peer in services():
        with alone(peer, cases.mean(16)) as row, contextlib.ExitStack() as stack:
            request = ask_plainly(cases.mean(16))
            opened = 0
            for wanted in IDLE:
                for _ in range(wanted - opened):
                    stack.enter_context(Connection(row.launch.port)).ask(request)
                opened = wanted
                pss = sum(map(pss_mib, row.servers[-1].processes()))
                figures.append({"service": peer.name, "idle connections": wanted, "PSS MiB": pss})
    return figures


def draw_idle(axes: Any, figures: Figures) -> None:  # noqa: ANN401
    """Memory over connections."""
    for service in dict.fromkeys(each["service"] for each in figures):
        of_service = [each for each in figures if each["service"] == service]
        connections = [each["idle connections"] for each in of_service]
        axes.plot(connections, [each["PSS MiB"] for each in of_service], "o-", label=service)
    axes.set(xlabel="idle keep-alive connections", ylabel="PSS of the service with Triton, MiB", ylim=(0, None))
    axes.legend(fontsize=7)


BODY_PART = Part(
    "Memory of a request",
    f"Peak resident memory of a fresh worker whom so many callers ask {IN_A_ROW} times each, less what it had before.",
    measure_bodies,
)
IDLE_PART = Part("Idle connections", "Memory of the whole service, Triton included.", measure_idle, draw_idle)
