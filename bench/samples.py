"""What was measured: the samples, sorted into cells, and their ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One timed run of one row in one cell: a case and a count of connections.

    Processor time is for one request; triton: tritonserver and all below it, front: all else of the row.
    pss_mib: of both together. mean_batch: inferences in one execution of the model in Triton, 0 without Triton.
    """

    case: str
    connections: int
    row: str
    round: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    front_cpu_ms: float
    triton_cpu_ms: float
    pss_mib: float
    mean_batch: float


@dataclass
class Measured:
    """All samples, and for each case the rows that gave none, with the reason."""

    samples: list[Sample] = field(default_factory=list)
    not_run: dict[str, dict[str, str]] = field(default_factory=dict)


def cells(samples: Sequence[Sample]) -> dict[tuple[str, int], dict[str, list[Sample]]]:
    """Sort into cells (case, connections), in them into rows, in them by round."""
    sorted_in: dict[tuple[str, int], dict[str, list[Sample]]] = {}
    for sample in samples:
        sorted_in.setdefault((sample.case, sample.connections), {}).setdefault(sample.row, []).append(sample)
    return sorted_in


def ratios(
    rows: Mapping[str, list[Sample]],
    row: str,
    other: str,
    figure: Callable[[Sample], float] = lambda sample: sample.requests_per_s,
    best: Callable[..., float] = max,
) -> list[float]:
    """Divide a row's figure by another's, or a peer's best row's, round by round: what slowed a round slowed both."""
    others = [rows[name] for name in rows if other in (name, name.split()[0])]
    rounds = zip(rows[row], zip(*others, strict=True), strict=True)
    return [figure(sample) / best(map(figure, of_round)) for sample, of_round in rounds]
