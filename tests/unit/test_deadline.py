"""Deadlines of what computes, and where they interrupt it; of what waits, tests/test_deadlines.py."""

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import gevent
import orjson
import pytest
from scoregate.eventloop.alarm import AlarmClock
from scoregate.eventloop.deadline import Deadline, Deadlines, Expired, current, shielded
from scoregate.eventloop.interruption import Stacks
from scoregate.script import fast_json

SCRIPTS = [Path(__file__).parent]
LIBRARY = "def compute_until(moment):\n    while monotonic() < moment:\n        pass\n"


def compute_until(moment: float) -> None:
    while monotonic() < moment:
        pass


def cut(function: Callable[[Deadline], object], milliseconds: int = 50) -> float:
    """Call the function with a deadline, by which it is interrupted; tell how many seconds after that."""
    deadlines = Deadlines(milliseconds, AlarmClock(Stacks(SCRIPTS)))
    deadline = deadlines.begin(None)
    with pytest.raises(Expired):
        deadlines.call(deadline, lambda: function(deadline))
    assert current.get() is None
    return -deadline.left_s()


def test_what_computes_is_cut_off_and_again_if_it_goes_on():
    def compute(deadline: Deadline) -> None:
        with pytest.raises(Expired):
            compute_until(deadline.ends + 5)
        compute_until(deadline.ends + 5)

    assert cut(compute) < 5


def test_what_is_not_to_be_done_by_half_is_cut_off_later():
    done = []

    def compute(deadline: Deadline) -> None:
        with shielded():
            compute_until(deadline.ends + 0.3)
            done.append("all of it")
        compute_until(deadline.ends + 5)
        done.append("more")

    assert cut(compute) < 5
    assert done == ["all of it"]


def test_a_library_that_computes_is_cut_off_a_second_later():
    names = {"monotonic": monotonic}
    exec(compile(LIBRARY, "/usr/lib/library.py", "exec"), names)
    assert 1 <= cut(lambda deadline: names["compute_until"](deadline.ends + 5)) < 5


def test_what_is_in_the_json_parser_nearly_all_the_time_is_cut_off_too():
    text = orjson.dumps("x" * 20_000_000)

    def parse(deadline: Deadline) -> None:
        while deadline.left_s() > -5:
            fast_json.loads(text)

    assert cut(parse) < 5


def test_logging_is_not_interrupted_whoever_is_called_by_it():
    written = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.args:
                compute_until(record.args[0])
                gevent.sleep(0.1)
            written.append(record.msg)

    log = logging.Logger("slow")
    log.addHandler(Slow())

    def compute(deadline: Deadline) -> None:
        log.info("%s", deadline.ends + 0.3)
        compute_until(deadline.ends + 5)

    assert cut(compute) < 5
    log.info("the lock is free")
    assert written == ["%s", "the lock is free"]


@pytest.mark.parametrize("how", ["compute", "wait"])
def test_an_import_is_not_interrupted(tmp_path, monkeypatch, how):
    name = f"module_that_{how}s"
    (tmp_path / f"{name}.py").write_text(
        "import time, gevent\n"
        "end = time.monotonic() + 0.3\n"
        f"while time.monotonic() < end:\n    {'pass' if how == 'compute' else 'gevent.sleep(0.01)'}\n"
        "whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def import_lazily(deadline: Deadline) -> None:
        __import__(name)
        compute_until(deadline.ends + 5)

    try:
        assert cut(import_lazily) < 5
        assert sys.modules[name].whole
    finally:
        del sys.modules[name]


def test_an_alarm_that_was_lost_is_set_again():
    deadlines = Deadlines(50, AlarmClock(Stacks(SCRIPTS)))
    for _ in range(2):
        deadline = deadlines.begin(None)

        def compute(ends: float = deadline.ends) -> None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            compute_until(ends + 0.1)

        deadlines.call(deadline, compute)
    deadline = deadlines.begin(None)
    with pytest.raises(Expired):
        deadlines.call(deadline, lambda: compute_until(deadline.ends + 5))
