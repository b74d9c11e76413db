"""Whether the bench's results meet the goals: python -m bench goals [results.json …], a column for each run."""

import json
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from statistics import median

from .report import RESULTS, markdown
from .samples import Sample, cells, ratios

DIGITS, JSON, BINARY = "digits, JSON", "mid, JSON", "mid, binary"
TWIN = "scoregate-twin"
BATCHING = [(case, connections) for case in (JSON, BINARY) for connections in (16, 64)]
MEETS: dict[str, Callable[[float, float], bool]] = {"≥": operator.ge, "≤": operator.le, ">": operator.gt}


@dataclass(frozen=True)
class Run:
    """One run of the bench; each figure is a ratio within a round, the median over the rounds."""

    samples: Sequence[Sample]

    def rate(self, case: str, connections: int, row: str, other: str) -> float:
        """Requests a second, divided by the other peer's, its better row's where there are two."""
        return median(ratios(cells(self.samples)[case, connections], row, other))

    def latency(self, case: str, connections: int, row: str, other: str) -> float:
        """The p50, divided by the other peer's, its better row's where there are two."""
        return median(ratios(cells(self.samples)[case, connections], row, other, lambda sample: sample.p50_ms, min))

    def processor(self, case: str, connections: int, row: str, other: str) -> float:
        """Processor time of a request, divided by the other peer's, its better row's where there are two."""
        rows = cells(self.samples)[case, connections]
        return median(ratios(rows, row, other, lambda sample: sample.front_cpu_ms + sample.triton_cpu_ms, min))

    def batch(self, case: str, connections: int, row: str, other: str) -> float:
        """Triton's mean batch, divided by the other peer's."""
        return median(ratios(cells(self.samples)[case, connections], row, other, lambda sample: sample.mean_batch))

    def chance_to_lose(self, of_cells: Sequence[tuple[str, int]], row: str, other: str) -> float:
        """Tell how likely a row is the slower one in so many rounds, or in more, if the two are equally fast.

        The sign test, over the rounds of all these cells.
        """
        rates = [rate for cell in of_cells for rate in ratios(cells(self.samples)[cell], row, other)]
        lost = sum(rate < 1 for rate in rates)
        return 0.5 ** len(rates) * sum(comb(len(rates), count) for count in range(lost, len(rates) + 1))

    def least_rate(self, row: str, other: str) -> float:
        """Give the least of rate(), of all cells."""
        return min(self.rate(*cell, row, other) for cell in cells(self.samples))

    def spread(self, row: str) -> float:
        """Divide the p99 by the p50 with 64 connections; the worst of the cases."""
        rows = (cells(self.samples)[case, 64][row] for case in (DIGITS, JSON, BINARY))
        return max(median(sample.p99_ms / sample.p50_ms for sample in samples) for samples in rows)


@dataclass(frozen=True)
class Goal:
    """What is held against a sign and a bound: a run's figure for a count of workers, one and two where not said.

    goal: sign and bound; nothing for a figure that others are to be seen beside.
    """

    what: str
    goal: str
    measure: Callable[[Run, int], float]
    workers: Sequence[int] = (1, 2)

    def judge(self, run: Run) -> tuple[str, bool]:
        """Give a run's figures, bold those that miss the goal before they are rounded, and whether all meet it."""
        figures = [self.measure(run, workers) for workers in self.workers]
        met = [self._is_met_by(figure) for figure in figures]
        return ", ".join(f"{f:.2f}" if m else f"**{f:.2f}**" for f, m in zip(figures, met, strict=True)), all(met)

    def _is_met_by(self, figure: float) -> bool:
        if not self.goal:
            return True
        sign, bound = self.goal.split()
        return MEETS[sign](figure, float(bound))


def row(name: str, workers: int) -> str:
    """Name a peer's row."""
    return f"{name} ×{workers}"  # noqa: RUF001


def script(workers: int) -> str:
    """Name the row of an unmodified script."""
    return row("scoregate", workers)


def own(workers: int) -> str:
    """Name the row of the small call."""
    return row("scoregate-own", workers)


def of_triton(case: str, connections: int) -> Goal:
    """Make a goal: Triton's own throughput, behind the front."""
    what = f"{case} c{connections}, small call: requests a second / Triton's"
    return Goal(what, "≥ 0.85", lambda run, n: run.rate(case, connections, own(n), "triton"))


def of_batch(case: str, connections: int) -> Goal:
    """Make a goal: the batches that Triton makes of its own callers' requests, behind the front."""
    what = f"{case} c{connections}, small call: Triton's mean batch / that of its own row"
    return Goal(what, "≥ 0.9", lambda run, n: run.batch(case, connections, own(n), "triton"))


def of_one_worker(case: str, connections: int) -> Goal:
    """Make a goal: a second worker costs no throughput."""
    what = f"{case} c{connections}, small call: requests a second of two workers / of one"
    return Goal(what, "≥ 1", lambda run, n: run.rate(case, connections, own(n), own(1)), workers=(2,))


def of_twin(case: str, connections: int) -> Goal:
    """Make a figure beside of_one_worker(): what noise makes of two services that are the same."""
    what = f"{case} c{connections}, small call: requests a second of one worker in a second service / of one"
    return Goal(what, "", lambda run, _: run.rate(case, connections, TWIN, own(1)), workers=(1,))


GOALS = [
    Goal(
        "digits c64, unmodified script: requests a second / the better FastAPI row's",
        "≥ 1.5",
        lambda run, n: run.rate(DIGITS, 64, script(n), "fastapi"),
    ),
    Goal("… / the bare route's", "≥ 0.70", lambda run, n: run.rate(DIGITS, 64, script(n), "floor")),
    Goal(
        "… processor time a request / the bare route's",
        "≤ 2.2",
        lambda run, n: run.processor(DIGITS, 64, script(n), "floor"),
    ),
    Goal(
        "digits c1, unmodified script: p50 / the better FastAPI row's",
        "≤ 0.6",
        lambda run, n: run.latency(DIGITS, 1, script(n), "fastapi"),
    ),
    Goal(
        "mid, JSON c64, unmodified script: requests a second / those of naive with as many workers",
        "≥ 1.3",
        lambda run, n: run.rate(JSON, 64, script(n), row("naive", n)),
    ),
    Goal(
        "digits c64, small call: requests a second / the bare route's",
        "≥ 0.85",
        lambda run, n: run.rate(DIGITS, 64, own(n), "floor"),
    ),
    Goal(
        "… processor time a request / the bare route's",
        "≤ 1.6",
        lambda run, n: run.processor(DIGITS, 64, own(n), "floor"),
    ),
    Goal(
        "small call: requests a second / PyTriton's, the least of all cells",
        "> 1",
        lambda run, n: run.least_rate(own(n), "pytriton"),
    ),
    *(of_triton(case, connections) for case, connections in BATCHING),
    *(of_batch(case, connections) for case, connections in BATCHING),
    *(of_one_worker(case, connections) for case, connections in BATCHING),
    *(of_twin(case, connections) for case, connections in BATCHING),
    Goal(  # The rounds differ by more than a second worker costs or gains: one cell's median hardly tells.
        "these four cells: how likely two workers are the slower ones in as many rounds, if they are equally fast",
        "≥ 0.05",
        lambda run, _: run.chance_to_lose(BATCHING, own(2), own(1)),
        workers=(2,),
    ),
    Goal("c64, unmodified script: p99 / p50, the worst of the cases", "≤ 4", lambda run, n: run.spread(script(n))),
    Goal("c64, small call: the same", "≤ 4", lambda run, n: run.spread(own(n))),
]


def main() -> None:
    """Print a column for each run and one for the rounds of all; exit code 1 if those miss a goal."""
    files = [Path(name) for name in sys.argv[1:]] or [RESULTS / "results.json"]
    runs = [Run([Sample(**sample) for sample in json.loads(file.read_text())["samples"]]) for file in files]
    runs.append(Run([sample for run in runs for sample in run.samples]))
    judged = [[goal.judge(run) for run in runs] for goal in GOALS]
    figures = [[text for text, _ in of_runs] for of_runs in judged]
    lines = [[goal.what, goal.goal, *texts] for goal, texts in zip(GOALS, figures, strict=True)]
    print(*markdown(["", "goal", *(file.stem for file in files), "all rounds"], lines), sep="\n")
    sys.exit(0 if all(of_runs[-1][1] for of_runs in judged) else 1)


if __name__ == "__main__":
    main()
