"""When an event loop sleeps that waits for Triton, or for the next request."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import gevent
import pytest
from scoregate.eventloop.spin import SpinWait
from scoregate.triton.send_batch import SendBatch

AWAKE = 1000  # turns of a loop that does not sleep; one that does has a few


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr("scoregate.eventloop.spin.UNDISTURBED_S", 60)  # other processes may want the processor
    yield
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


def a_wait(limit_s: float, goes_on: Callable[[], bool] = lambda: True) -> SpinWait:
    wait = SpinWait(limit_s, goes_on)
    wait.begin()
    return wait


def test_it_stays_awake_for_as_long_as_it_goes_on():
    under_way = [1]
    a_wait(10, lambda: bool(under_way))
    assert turns_of_the_loop(5) >= AWAKE
    under_way.clear()
    assert turns_of_the_loop(0.1) < AWAKE


def test_it_sleeps_where_there_is_else_to_do():
    a_wait(10, lambda: False)
    assert turns_of_the_loop(0.1) < AWAKE


def test_it_sleeps_when_it_takes_long_and_in_the_next_one_until_one_was_short(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("scoregate.eventloop.spin.perf_counter", lambda: now[0])
    under_way = [1]
    wait = a_wait(1, lambda: bool(under_way))
    now[0] = 1.5
    assert turns_of_the_loop(0.1) < AWAKE
    wait.end()
    wait.begin()
    assert turns_of_the_loop(0.1) < AWAKE
    now[0] = 1.6
    wait.end()
    wait.begin()
    assert turns_of_the_loop(5) >= AWAKE
    under_way.clear()


def test_it_sleeps_when_another_process_wants_the_processor(monkeypatch):
    monkeypatch.setattr("scoregate.eventloop.spin.UNDISTURBED_S", 0)
    a_wait(10)
    assert turns_of_the_loop(0.1) < AWAKE


def test_the_loop_of_another_thread_sleeps():
    def ask() -> int:
        a_wait(10)
        turns = turns_of_the_loop(0.1)
        gevent.get_hub().destroy()
        return turns

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() < AWAKE


def test_for_triton_it_stays_awake_while_a_call_is_alone(monkeypatch):
    monkeypatch.setattr("scoregate.triton.send_batch.SHORT_S", 10)
    turn = SendBatch()
    assert turn.begin()
    turn.stay_awake()
    assert turns_of_the_loop(5) >= AWAKE
    assert not turn.begin()
    assert turns_of_the_loop(0.1) < AWAKE
    turn.end()
    turn.end()
    assert turns_of_the_loop(0.1) < AWAKE
