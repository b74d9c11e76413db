"""Whether callers wait alike: at 64 connections, and beside one who sends 12 MiB."""

import threading
import time
from statistics import median

import numpy as np

from .. import cases, wrk
from ..dialects import ask_plainly
from ..rows import Row
from .connection import Connection
from .part import Figures, Part, alone, services

LARGE_BYTES = 12 * 2**20
LARGE_REQUESTS = 10
SECONDS = 3


def measure() -> Figures:
    """Ask one worker."""
    figures: Figures = []
    for peer in services():
        with alone(peer, cases.mean(16)) as row:
            wrk.run(row.launch.port, ask_plainly(cases.mean(16)), 64, 1)
            load = wrk.run(row.launch.port, ask_plainly(cases.mean(16)), 64, SECONDS)
            undisturbed, disturbed = delays_ms(row)
        figures.append(
            {
                "service": peer.name,
                "64 connections: p50 ms": load.p50_ms,
                "64 connections: p99 ms": load.p99_ms,
                "one caller alone: p50 ms": float(np.percentile(undisturbed, 50)),
                "one caller alone: p99 ms": float(np.percentile(undisturbed, 99)),
                "beside 12 MiB: longest wait ms": median(disturbed),
            }
        )
    return figures


def delays_ms(row: Row) -> tuple[list[float], list[float]]:
    """Time small requests one after the other: alone, and the longest one during each large request."""
    small, large = ask_plainly(cases.mean(16)), ask_plainly(cases.mean(LARGE_BYTES))
    with Connection(row.launch.port) as connection, Connection(row.launch.port) as other:
        end = time.monotonic() + SECONDS
        undisturbed = []
        while time.monotonic() < end:
            undisturbed.append(connection.ask(small) * 1000)
        disturbed = []
        for _ in range(LARGE_REQUESTS):
            sender = threading.Thread(target=other.ask, args=[large])
            sender.start()
            longest = 0.0
            while sender.is_alive():
                longest = max(longest, connection.ask(small) * 1000)
            disturbed.append(longest)
    return undisturbed, disturbed


PART = Part(
    "Fairness",
    "One worker, 16 bytes a request. The last column: the longest wait of a small request while one of 12 MiB is "
    "answered, median of ten.",
    measure,
)
