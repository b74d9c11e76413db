"""Deadlines of what computes; of what waits, tests/test_deadlines.py."""

from time import monotonic

import pytest
from scoregate.deadline import Deadlines, Expired, current


def compute_until(moment: float) -> None:
    while monotonic() < moment:
        pass


def test_what_computes_is_cut_off_and_again_if_it_goes_on():
    deadlines = Deadlines(50)
    deadline = deadlines.begin(None)

    def compute() -> None:
        with pytest.raises(Expired):
            compute_until(deadline.ends + 5)
        compute_until(deadline.ends + 5)

    with pytest.raises(Expired):
        deadlines.call(deadline, compute)
    assert monotonic() < deadline.ends + 5
    assert current.get() is None


def test_what_is_not_to_be_done_by_half_is_cut_off_later():
    deadlines = Deadlines(50)
    deadline = deadlines.begin(None)
    done = []

    def compute() -> None:
        deadline.may_be_cut = False
        compute_until(deadline.ends + 0.3)
        done.append("all of it")
        deadline.may_be_cut = True
        compute_until(deadline.ends + 5)
        done.append("more")

    with pytest.raises(Expired):
        deadlines.call(deadline, compute)
    assert done == ["all of it"]
