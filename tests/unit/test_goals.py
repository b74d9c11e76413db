"""How the bench's results are held against the goals."""

from dataclasses import replace

from bench.goals import Goal, Run, own
from bench.samples import Sample


def sample(row: str, of_round: int, requests_per_s: float, p50_ms: float = 1.0, front_ms: float = 1.0) -> Sample:
    return Sample("mid, JSON", 64, row, of_round, requests_per_s, p50_ms, 1.0, 0, front_ms, 1.0, 100.0, 1.0)


def test_a_ratio_is_of_one_round_and_the_median_of_all():
    ours = [sample("ours x1", number, rate) for number, rate in enumerate((100, 300, 80))]
    theirs = [sample("theirs x1", number, rate) for number, rate in enumerate((100, 100, 40))]
    assert Run([*ours, *theirs]).rate("mid, JSON", 64, "ours x1", "theirs") == 2


def test_the_better_row_of_a_peer_counts():
    samples = [
        sample("ours x1", 0, 100, 3.0, 5.0),
        sample("theirs x1", 0, 50, 2.0, 1.0),
        sample("theirs x2", 0, 80, 4.0, 3.0),
    ]
    run = Run(samples)
    assert run.rate("mid, JSON", 64, "ours x1", "theirs") == 100 / 80
    assert run.latency("mid, JSON", 64, "ours x1", "theirs") == 3 / 2
    assert run.processor("mid, JSON", 64, "ours x1", "theirs") == 6 / 2
    assert run.least_rate("ours x1", "theirs x2") == 100 / 80


def test_a_figure_is_judged_before_it_is_rounded():
    goal = Goal("what", "≥ 1", lambda run, workers: run.rate("mid, JSON", 64, own(workers), "triton"))
    run = Run([sample(own(1), 0, 999), sample(own(2), 0, 1000), sample("triton", 0, 1000)])
    assert goal.judge(run) == ("**1.00**, 1.00", False)


def test_a_figure_beside_the_goals_misses_none():
    run = Run([sample("ours x1", 0, 100), sample("theirs", 0, 200)])
    beside = Goal("what", "", lambda run, _: run.rate("mid, JSON", 64, "ours x1", "theirs"), workers=(1,))
    assert beside.judge(run) == ("0.50", True)


def test_a_goal_may_be_a_most_or_more_than_a_bound():
    run = Run([sample("ours x1", 0, 100, 2.0), sample("theirs", 0, 100)])
    most = Goal("what", "≤ 2", lambda run, _: run.latency("mid, JSON", 64, "ours x1", "theirs"), workers=(1,))
    more = Goal("what", "> 1", lambda run, _: run.rate("mid, JSON", 64, "ours x1", "theirs"), workers=(1,))
    assert (most.judge(run), more.judge(run)) == (("2.00", True), ("**1.00**", False))


def test_batches_are_held_against_tritons_own():
    ours, theirs = (replace(sample(name, 0, 100), mean_batch=size) for name, size in (("ours x1", 9), ("triton", 10)))
    assert Run([ours, theirs]).batch("mid, JSON", 64, "ours x1", "triton") == 0.9


def test_how_likely_a_row_is_the_slower_one_in_as_many_rounds():
    theirs = [sample("theirs", number, 100) for number in range(4)]
    ours = [sample("ours", number, rate) for number, rate in enumerate((90, 110, 99, 98))]
    another = [replace(sample(name, 0, rate), connections=16) for name, rate in (("theirs", 100), ("ours", 100))]
    run = Run([*theirs, *ours, *another])
    cells = [("mid, JSON", 64), ("mid, JSON", 16)]
    assert run.chance_to_lose(cells, "ours", "theirs") == 16 / 32  # three or more of five
    assert run.chance_to_lose(cells[:1], "ours", "theirs") == 5 / 16
    assert run.chance_to_lose(cells, "theirs", "theirs") == 1
