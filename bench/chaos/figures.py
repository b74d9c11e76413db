"""A row of the table: what became of the requests during a fault, how soon it was over, what should not have been."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from .faults import Moment
from .load import CONNECTIONS, Record
from .questions import CLEAN, Outcome

# So long answers are right before the service counts as recovered. Triton waits for a dead stub for 1 s before it fails
# the requests in it: with 1 s here a killed stub was recovered from in 0.01 s, and its failures came after that.
STEADY_S = 3.0
PAUSE_S = 0.5  # between two answers; under this load a longer one is an outage
IN_WORKER_S = 2.0  # by then a caller knows that the worker was killed


@dataclass
class Row:
    """recoveries_s: for each fault, None where the service was not right again before the next one.

    lost_after_kill: of the lost, those that ended soon after a worker was killed. wrong_answers: what they said, how
    often. problems: what should not have been.
    """

    fault: str
    times: int
    requests: int
    outcomes: dict[str, int]
    lost_after_kill: int
    wrong_answers: dict[str, int]
    recoveries_s: list[float | None]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Write the row, for HEAD."""
        outcomes = self.outcomes
        lost = str(outcomes["LOST"])
        if outcomes["LOST"] and outcomes["LOST"] == self.lost_after_kill:
            lost += f" (all within {IN_WORKER_S:.0f} s of a worker's kill)"
        return [
            self.fault,
            str(self.times),
            str(self.requests),
            str(outcomes["RIGHT"]),
            "/".join(str(outcomes[each.name]) for each in CLEAN),
            str(outcomes["WRONG"]),
            str(outcomes["HUNG"]),
            lost,
            *self._recovery(),
        ]

    def _recovery(self) -> tuple[str, str]:
        """The median and the longest; one that did not come is the longest."""
        seconds = [each for each in self.recoveries_s if each is not None]
        never = len(self.recoveries_s) - len(seconds)
        middle = f"{median(seconds):.2f}" if seconds else ""
        longest = f"{max(seconds):.2f}" if seconds else ""
        return middle, f"never, {never} of {len(self.recoveries_s)}" if never else longest


HEAD = ["fault", "times", "requests", "right", "429/503/504", "wrong", "hung", "lost", "recovery s, median", "longest"]


def row(fault: str, moments: Sequence[Moment], record: Record, problems: Sequence[str]) -> Row:
    """Count, and judge. problems: what befell the service itself."""
    counts = Counter(record.outcomes)
    lost_at = [at for at, outcome in zip(record.ended, record.outcomes, strict=True) if outcome == Outcome.LOST]
    kills = [moment.at for moment in moments if moment.kills_worker]
    after_kill = sum(any(kill <= at <= kill + IN_WORKER_S for kill in kills) for at in lost_at)
    made = Row(
        fault=fault,
        times=len(moments),
        requests=len(record.ended),
        outcomes={each.name: counts[each] for each in Outcome},
        lost_after_kill=after_kill,
        wrong_answers=dict(record.wrong),
        recoveries_s=recoveries(moments, record),
        problems=list(problems),
    )
    if counts[Outcome.WRONG]:
        made.problems.append("wrong: " + ", ".join(f"{what} ×{n}" for what, n in record.wrong.most_common()))  # noqa: RUF001
    if counts[Outcome.HUNG]:
        made.problems.append(f"{counts[Outcome.HUNG]} requests hung")
    if unexplained := len(lost_at) - after_kill:
        made.problems.append(f"{unexplained} requests lost, and no worker killed in the {IN_WORKER_S:.0f} s before")
    if after_kill > CONNECTIONS * len(kills):
        made.problems.append(f"{after_kill} requests lost after a worker's kill, more than can have been inside")
    return made


def recoveries(moments: Sequence[Moment], record: Record) -> list[float | None]:
    """Give the seconds from each fault to the first answer from which on all are right, STEADY_S long.

    Or until the next fault, or the end.
    """
    if not (moments and record.ended):
        return [None] * len(moments)
    ends = [moment.at for moment in moments[1:]] + [record.ended[-1]]
    return [_recovery(moment.at, end, record) for moment, end in zip(moments, ends, strict=True)]


def _recovery(begin: float, end: float, record: Record) -> float | None:
    steady_since = last = None
    for index in range(bisect_left(record.ended, begin), bisect_left(record.ended, end)):
        at = record.ended[index]
        if record.outcomes[index] != Outcome.RIGHT:
            steady_since = None
            continue
        if steady_since is None or last is None or at - last > PAUSE_S:
            steady_since = at
        if at - steady_since >= STEADY_S:
            return steady_since - begin
        last = at
    if steady_since is None or last is None or end - last > PAUSE_S:
        return None
    return steady_since - begin
