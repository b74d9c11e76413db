"""What was measured, as a table for people and as JSON with every figure."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from .samples import Measured, Sample, cells, ratios
from .venvs import BENCH

RESULTS = BENCH / "results"  # published
OTHER_RESULTS = BENCH / "other-results"  # of a model of the user's, or of a quick run: git ignores them
BASELINES = ("floor", "triton", "naive", "fastapi")
HEAD = [
    *("row", "req/s", "spread", *(f"÷ {name}" for name in BASELINES), "p50 ms", "p99 ms", "errors"),
    *("CPU ms front", "CPU ms Triton", "CPU ms", "PSS MiB", "mean batch"),
]


def write(directory: Path, measured: Measured, machine: Mapping[str, str], command: Sequence[str]) -> Path:
    """Write results.json and table.md; gives the table's path."""
    directory.mkdir(exist_ok=True)
    raw = {
        "command": shlex.join(command),
        "machine": dict(machine),
        "samples": [asdict(sample) for sample in measured.samples],
        "not_run": measured.not_run,
    }
    (directory / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    table = directory / "table.md"
    table.write_text("\n".join(_lines(measured, machine, command)) + "\n")
    return table


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out a table, its first column text, the others numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _lines(measured: Measured, machine: Mapping[str, str], command: Sequence[str]) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield f"`{shlex.join(command)}`, on: {', '.join(f'{name} {value}' for name, value in machine.items())}."
    yield ""
    yield "How to read it: [README.md](../README.md#reading-the-table)."
    by_cell = cells(measured.samples)
    for case, connections in by_cell:
        rows = by_cell[case, connections]
        yield ""
        yield f"## {case}, {connections} at once"
        yield ""
        yield from markdown(HEAD, [_row(name, rows) for name in rows])
        if measured.not_run[case]:
            yield ""
            yield from (f"- {row}: not run: {reason}" for row, reason in measured.not_run[case].items())


def _row(name: str, rows: Mapping[str, list[Sample]]) -> list[str]:
    samples = rows[name]
    peers = {row.split()[0] for row in rows}

    def middle(figure: str) -> float:
        return float(median(getattr(sample, figure) for sample in samples))

    rates = [sample.requests_per_s for sample in samples]
    return [
        name,
        f"{median(rates):.0f}",
        f"{(max(rates) - min(rates)) / median(rates):.0%}",
        *(f"{median(ratios(rows, name, baseline)):.2f}" if baseline in peers else "" for baseline in BASELINES),
        f"{middle('p50_ms'):.2f}",
        f"{middle('p99_ms'):.2f}",
        str(sum(sample.errors for sample in samples)),
        f"{middle('front_cpu_ms'):.2f}",
        f"{middle('triton_cpu_ms'):.2f}",
        f"{median(sample.front_cpu_ms + sample.triton_cpu_ms for sample in samples):.2f}",
        f"{middle('pss_mib'):.0f}",
        f"{batch:.1f}" if (batch := middle("mean_batch")) else "",
    ]
