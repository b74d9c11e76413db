"""The measurement: every count of workers and Triton alone, asked in turn, round after round."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ..cases import Case
from ..meter import Reading
from ..peer import Peer
from ..rows import WARM_UP_S, NotRun, Row, rows_up
from ..samples import Sample as BaseSample
from . import answers, load


class BusyShare(Protocol):
    """What busy.Busy gives."""

    share: float


@dataclass(frozen=True)
class Sample(BaseSample):
    """A timed run. workers: 0 for Triton alone. gpu_busy: share of the time in which the GPU worked, 0 to 1."""

    workers: int
    gpu_busy: float


def measure(
    peers: Sequence[Peer],
    cases: Sequence[Case],
    rounds: int,
    seconds: int,
    busy: Callable[[], AbstractContextManager[BusyShare]],
) -> tuple[list[Sample], dict[str, dict[str, str]]]:
    """Measure each row in each cell `seconds` long, `rounds` times.

    busy: watches the GPU. Gives the samples, and for each case the rows that gave none, with the reason.
    """
    samples: list[Sample] = []
    not_run: dict[str, dict[str, str]] = {}
    for case in cases:
        print(f"{case.model}: starting the servers", flush=True)
        reasons = not_run[case.name] = {}
        with rows_up(peers, case, reasons) as up:
            good = right_rows(up, case, reasons)
            for number in range(rounds):
                for connections in case.connections:
                    for row in good:
                        samples.append(take(row, connections, seconds, number, busy))
                        print(line(samples[-1]), flush=True)
    return samples, not_run


def right_rows(up: Sequence[Row], case: Case, not_run: dict[str, str]) -> list[Row]:
    """Keep the rows that answer as torch does; not_run gets the others."""
    right = answers.expected(case.model)
    good = []
    for row in up:
        try:
            answers.check(row.launch.port, row.peer.dialect, case, right)
            good.append(row)
        except NotRun as error:
            not_run[row.name] = str(error)
    return good


def take(
    row: Row, connections: int, seconds: int, number: int, busy: Callable[[], AbstractContextManager[BusyShare]]
) -> Sample:
    """Warm up, then measure; number: the round's."""
    launch = row.launch
    request = row.peer.dialect.ask(launch.case)
    load.run(launch.port, request, connections, WARM_UP_S)
    before = Reading.of(row.servers, launch.case.model, launch.metrics_port)
    with busy() as gpu:
        done = load.run(launch.port, request, connections, seconds)
    after = Reading.of(row.servers, launch.case.model, launch.metrics_port)
    answered = max(done.requests, 1)
    return Sample(
        case=launch.case.name,
        connections=connections,
        row=row.name,
        round=number,
        requests_per_s=done.requests_per_s,
        p50_ms=done.p50_ms,
        p99_ms=done.p99_ms,
        errors=done.errors,
        front_cpu_ms=(after.front_cpu_s - before.front_cpu_s) * 1000 / answered,
        triton_cpu_ms=(after.triton_cpu_s - before.triton_cpu_s) * 1000 / answered,
        pss_mib=after.pss_mib,
        mean_batch=(after.inferences - before.inferences) / max(after.executions - before.executions, 1),
        workers=launch.workers if row.peer.command else 0,
        gpu_busy=gpu.share,
    )


def line(sample: Sample) -> str:
    """Say how it went while the rest is still to come."""
    return (
        f"{sample.case}, {sample.connections} at once, round {sample.round + 1}: {sample.row}: "
        f"{sample.requests_per_s:.0f} req/s, GPU busy {sample.gpu_busy:.0%}"
    )
