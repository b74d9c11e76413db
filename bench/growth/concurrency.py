"""How throughput and latency go with the number of callers, for 1, 2 and 4 workers."""

import dataclasses
from typing import Any

from .. import cases
from ..peers import scoregate
from ..rows import rows_up
from .part import Figures, Part

CONNECTIONS = tuple(2**power for power in range(10))
WORKERS = (1, 2, 4)
SECONDS = 2


def measure() -> Figures:
    """Ask each service in turn at each concurrency."""
    peers = [dataclasses.replace(peer, workers=WORKERS) for peer in (scoregate.PEER, scoregate.OWN)]
    with rows_up(peers, cases.digits(CONNECTIONS), {}) as rows:
        samples = [row.sample(connections, SECONDS, 0) for connections in CONNECTIONS for row in rows]
    return [
        {
            "service": sample.row,
            "connections": sample.connections,
            "req/s": sample.requests_per_s,
            "p50 ms": sample.p50_ms,
            "p99 ms": sample.p99_ms,
            "errors": sample.errors,
            "mean batch": sample.mean_batch,
        }
        for sample in sorted(samples, key=lambda sample: (sample.row, sample.connections))
    ]


def draw(axes: Any, figures: Figures) -> None:  # noqa: ANN401 - matplotlib's are not installed where mypy runs
    """Throughput as lines, p99 dashed on the right."""
    right = axes.twinx()
    for number, service in enumerate(dict.fromkeys(each["service"] for each in figures)):
        of_service = [each for each in figures if each["service"] == service]
        connections = [each["connections"] for each in of_service]
        axes.plot(connections, [each["req/s"] for each in of_service], "o-", color=f"C{number}", label=service)
        right.plot(connections, [each["p99 ms"] for each in of_service], "x--", color=f"C{number}")
    axes.set(xscale="log", xlabel="connections", ylabel="requests a second (line)")
    right.set(yscale="log", ylabel="p99, ms (dashed)")
    axes.legend(fontsize=7)


PART = Part("Concurrency", "Throughput and p99 over the number of callers; digits, JSON.", measure, draw)
