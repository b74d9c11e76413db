"""Pictures of what was measured."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl  # type: ignore[import-not-found]
import matplotlib.pyplot as plt  # type: ignore[import-not-found]

from .samples import Sample, cells

mpl.use("Agg")  # files, no window


def latency_over_throughput(directory: Path, samples: Sequence[Sample]) -> None:
    """Draw p99 against throughput: one picture for each case, one line for each row, a point for each concurrency."""
    cases = list(dict.fromkeys(sample.case for sample in samples))
    figure, all_axes = plt.subplots(1, len(cases), figsize=(8 * len(cases), 6), squeeze=False, layout="constrained")
    by_cell = cells(samples)
    for axes, case in zip(all_axes[0], cases, strict=True):
        lines: dict[str, list[tuple[float, float, int]]] = {}
        for (of_case, connections), rows in by_cell.items():
            for row, runs in rows.items():
                if of_case == case:
                    rate = median(run.requests_per_s for run in runs)
                    lines.setdefault(row, []).append((rate, median(run.p99_ms for run in runs), connections))
        for number, (row, points) in enumerate(lines.items()):
            rates, p99s, _ = zip(*points, strict=True)
            axes.plot(rates, p99s, marker="osv^D"[number % 5], label=row, color=plt.cm.tab20(number % 20))
            for rate, p99, connections in points:
                axes.annotate(str(connections), (rate, p99), textcoords="offset points", xytext=(4, 4), fontsize=7)
        axes.set(title=f"{case} (at a point: requests at once)", xlabel="requests a second", ylabel="p99, ms")
        axes.set(xscale="log", yscale="log")
        axes.grid(which="both", alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(directory / "latency-throughput.png", dpi=120)
