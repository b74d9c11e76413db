"""When an event loop sleeps that waits for Triton."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import gevent
import pytest
from scoregate.triton.turn import Turn

AWAKE = 1000  # turns of a loop that does not sleep; one that does has a few


@pytest.fixture
def turn(monkeypatch) -> Iterator[Turn]:
    monkeypatch.setattr("scoregate.triton.turn.UNDISTURBED_S", 60)  # other processes may want the processor
    monkeypatch.setattr("scoregate.triton.turn.AWAKE_S", 10)
    yield (made := Turn())
    while made._calls:
        made.end()
    gevent.sleep(0.001)  # the watcher stops


def turns_of_the_loop(seconds: float) -> int:
    """Count them until it is plain that the loop does not sleep, or for that time."""
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    watcher = gevent.get_hub().loop.prepare()
    watcher.start(one_more)
    end = monotonic() + seconds
    while count < AWAKE and monotonic() < end:
        gevent.sleep(0.05)
    watcher.close()
    return count


def test_it_stays_awake_while_a_call_is_alone(turn):
    assert turn.begin()
    turn.stay_awake()
    assert turns_of_the_loop(5) >= AWAKE
    turn.end()
    assert turns_of_the_loop(0.1) < AWAKE


def test_it_sleeps_once_there_is_another(turn):
    turn.begin()
    turn.stay_awake()
    assert not turn.begin()
    assert turns_of_the_loop(0.1) < AWAKE


def test_it_sleeps_when_the_call_takes_long_and_in_the_next_one(turn, monkeypatch):
    monkeypatch.setattr("scoregate.triton.turn.AWAKE_S", 0.05)
    turn.begin()
    turn.stay_awake()
    gevent.sleep(0.06)
    assert turns_of_the_loop(0.1) < AWAKE
    turn.end()
    turn.begin()
    turn.stay_awake()
    assert turns_of_the_loop(0.1) < AWAKE


def test_it_sleeps_when_another_process_wants_the_processor(turn, monkeypatch):
    monkeypatch.setattr("scoregate.triton.turn.UNDISTURBED_S", 0)
    turn.begin()
    turn.stay_awake()
    assert turns_of_the_loop(0.1) < AWAKE


def test_the_loop_of_another_thread_sleeps(turn):
    def ask() -> int:
        turn.begin()
        turn.stay_awake()
        turns = turns_of_the_loop(0.1)
        turn.end()
        gevent.get_hub().destroy()
        return turns

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() < AWAKE
