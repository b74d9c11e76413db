"""The measurement: all rows up, all asked in turn, round after round, so that a slow minute of the machine hits all."""

from collections.abc import Sequence
from itertools import product

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from .cases import Case
from .peer import Peer
from .rows import rows_up
from .samples import Measured


def measure(peers: Sequence[Peer], cases: Sequence[Case], rounds: int, seconds: int) -> Measured:
    """Measure all rows in all cells, `seconds` each, `rounds` times, with a progress bar on a terminal."""
    measured = Measured()
    rows_of_all = sum(len(peer.workers) for peer in peers)
    total = rounds * rows_of_all * sum(len(case.connections) for case in cases)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    # Drawn once a second: the benchmark shares the machine with what it measures.
    with Progress(*columns, refresh_per_second=1) as progress:
        task = progress.add_task("", total=total)
        for case, number in product(cases, range(rounds)):
            not_run = measured.not_run.setdefault(case.name, {})
            told = set(not_run)
            progress.update(task, description=f"{case.name}, round {number + 1}: starting the servers")
            with rows_up(peers, case, not_run) as rows:  # anew in each round: no figure rests on a single start
                for name in not_run.keys() - told:
                    progress.console.print(f"{case.name}: {name} not run: {not_run[name]}", markup=False)
                progress.advance(task, len(case.connections) * len(not_run))
                # Back and forth: none is always asked after the same other one.
                in_turn = rows if number % 2 == 0 else rows[::-1]
                for connections, row in product(case.connections, in_turn):
                    progress.update(
                        task, description=f"{case.name}, {connections} at once, round {number + 1}: {row.name}"
                    )
                    measured.samples.append(row.sample(connections, seconds, number))
                    progress.advance(task)
    # A row is compared round by round: one that did not start in each has no figures.
    measured.samples = [each for each in measured.samples if each.row not in measured.not_run[each.case]]
    return measured
