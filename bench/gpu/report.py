"""What was measured: a table with its conclusion, every figure as JSON, a picture."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import matplotlib as mpl  # type: ignore[import-not-found]
import matplotlib.pyplot as plt  # type: ignore[import-not-found]

from ..report import RESULTS, markdown
from .measure import Sample

GOAL = 0.90
HEAD = [
    *("row", "req/s", "spread", "÷ triton", "p50 ms", "p99 ms", "errors"),
    *("CPU ms front", "CPU ms Triton", "CPU ms", "mean batch", "GPU busy"),
]
# Of one case and count of connections; by workers, 0 being Triton alone; the samples of the rounds in their order.
Cell = dict[int, list[Sample]]


def write(
    samples: Sequence[Sample],
    not_run: Mapping[str, Mapping[str, str]],
    machine: Mapping[str, str],
    command: Sequence[str],
) -> Path:
    """Write gpu.json, gpu.md and gpu.png; gives the path of gpu.md."""
    RESULTS.mkdir(exist_ok=True)
    raw = {
        "command": shlex.join(command),
        "machine": dict(machine),
        "conclusion": conclusions(samples),
        "samples": [asdict(sample) for sample in samples],
        "not_run": not_run,
    }
    (RESULTS / "gpu.json").write_text(json.dumps(raw, indent=1) + "\n")
    if samples:
        draw(samples, RESULTS / "gpu.png")
    table = RESULTS / "gpu.md"
    table.write_text("\n".join(_lines(samples, not_run, machine, command)) + "\n")
    return table


def cells(samples: Sequence[Sample], case: str) -> dict[int, Cell]:
    """Sort the samples of a case by connections, then by workers."""
    found: dict[int, Cell] = {}
    for sample in samples:
        if sample.case == case:
            found.setdefault(sample.connections, {}).setdefault(sample.workers, []).append(sample)
    return found


def ratio(cell: Cell, workers: int) -> float | None:
    """Divide by Triton alone, round by round, since what slowed a round slowed both; None if that has no answers."""
    if 0 not in cell or not all(alone.requests_per_s for alone in cell[0]):
        return None
    pairs = zip(cell[workers], cell[0], strict=True)
    return median(sample.requests_per_s / alone.requests_per_s for sample, alone in pairs)


def conclusions(samples: Sequence[Sample]) -> list[str]:
    """Say for each case how many workers feed the GPU: the fewest that reach the goal everywhere, without error."""
    return [f"{case}: {_conclusion(cells(samples, case))}" for case in dict.fromkeys(each.case for each in samples)]


def _conclusion(by_connections: Mapping[int, Cell]) -> str:
    ratios: dict[int, list[float]] = {}
    for cell in by_connections.values():
        for workers, of_rounds in cell.items():
            reached = ratio(cell, workers)
            if reached is None:
                return "no conclusion, Triton alone gave no answers."
            if workers:
                ratios.setdefault(workers, []).append(0 if any(each.errors for each in of_rounds) else reached)
    lowest = {workers: min(reached) for workers, reached in sorted(ratios.items())}  # 0: with errors
    if not lowest:
        return "no conclusion, the service was not measured."
    said = ", ".join(f"×{workers} {f'{reached:.2f}' if reached else 'errors'}" for workers, reached in lowest.items())  # noqa: RUF001
    enough = next((workers for workers, reached in lowest.items() if reached >= GOAL), None)
    verdict = f"{enough} worker{'s' if enough > 1 else ''} feed the GPU" if enough else "no count of workers is enough"
    return f"{verdict} (goal: {GOAL:.2f} of Triton alone, the lowest of all concurrencies: {said})."


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Throughput over workers, a picture for each case, a line for each count of connections; Triton alone dashed."""
    mpl.use("Agg")  # a file, no window
    cases = list(dict.fromkeys(sample.case for sample in samples))
    figure, all_axes = plt.subplots(1, len(cases), figsize=(7 * len(cases), 5), squeeze=False, layout="constrained")
    for axes, case in zip(all_axes[0], cases, strict=True):
        for number, (connections, cell) in enumerate(cells(samples, case).items()):
            rates = {workers: median(each.requests_per_s for each in of) for workers, of in cell.items()}
            alone = rates.pop(0, None)
            axes.plot(list(rates), list(rates.values()), "o-", color=f"C{number}", label=f"{connections} at once")
            if alone is not None:
                axes.axhline(alone, linestyle="--", color=f"C{number}", label=f"{connections} at once, Triton alone")
        axes.set(title=case, xlabel="workers", ylabel="requests a second", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def _lines(
    samples: Sequence[Sample],
    not_run: Mapping[str, Mapping[str, str]],
    machine: Mapping[str, str],
    command: Sequence[str],
) -> Iterator[str]:
    yield "# One GPU"
    yield ""
    yield f"`{shlex.join(command)}`, on: {', '.join(f'{name} {value}' for name, value in machine.items())}."
    yield ""
    yield "What it is: [gpu/README.md](../gpu/README.md). How to read it: [README.md](../README.md#reading-the-table)."
    yield ""
    yield from (f"- {conclusion}" for conclusion in conclusions(samples))
    for case in not_run:
        for connections, cell in cells(samples, case).items():
            yield ""
            yield f"## {case}, {connections} at once"
            yield ""
            yield from markdown(HEAD, [_row(cell, workers) for workers in sorted(cell)])
        if not_run[case]:
            yield ""
            yield from (f"- {case}, {row}: not run: {reason}" for row, reason in not_run[case].items())
    if samples:
        yield ""
        yield "![Throughput over workers](gpu.png)"


def _row(cell: Cell, workers: int) -> list[str]:
    samples = cell[workers]
    rates = [sample.requests_per_s for sample in samples]
    reached = ratio(cell, workers)
    return [
        samples[0].row,
        f"{median(rates):.0f}",
        f"{(max(rates) - min(rates)) / median(rates):.0%}" if median(rates) else "",
        "" if reached is None else f"{reached:.2f}",
        f"{median(sample.p50_ms for sample in samples):.1f}",
        f"{median(sample.p99_ms for sample in samples):.1f}",
        str(sum(sample.errors for sample in samples)),
        f"{median(sample.front_cpu_ms for sample in samples):.2f}",
        f"{median(sample.triton_cpu_ms for sample in samples):.2f}",
        f"{median(sample.front_cpu_ms + sample.triton_cpu_ms for sample in samples):.2f}",
        f"{median(sample.mean_batch for sample in samples):.1f}",
        f"{median(sample.gpu_busy for sample in samples):.0%}",
    ]
