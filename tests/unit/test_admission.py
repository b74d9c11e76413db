"""Who gets a place when, and that none is lost."""

import gevent
import pytest
from gevent.event import Event
from scoregate.errors import TooBusy
from scoregate.scoring.admission import Admission


class Caller:
    """A request in a greenlet of its own. body: set once its body is there; end: once it is to leave its place."""

    def __init__(self, places, name, served):
        self.body, self.end = Event(), Event()
        self.greenlet = gevent.spawn(self._run, places, name, served)
        gevent.sleep()

    def _run(self, places, name, served):
        try:
            waited_s = places.wait({"REMOTE_ADDR": name})
            self.body.wait()
            places.acquire(waited_s)
        except TooBusy:
            return
        try:
            served.append(name)
            self.end.wait()
        finally:
            places.release(0.0)

    def comes(self):
        self.body.set()
        return self

    def leaves(self):
        self.end.set()
        self.greenlet.join()
        turn()


def turn():
    """Let the event loop do all that is to be done."""
    for _ in range(20):
        gevent.sleep()


def test_first_come_first_served():
    places, served = Admission(2), []
    callers = [Caller(places, number, served).comes() for number in range(40)]
    for caller in callers:
        turn()
        caller.leaves()
    assert served == list(range(40))


def test_who_comes_when_a_place_has_just_been_left_does_not_go_first():
    places, served = Admission(1), []
    first, second = (Caller(places, name, served).comes() for name in ("first", "second"))
    first.end.set()
    while not first.greenlet.dead:
        gevent.sleep()
    Caller(places, "third", served).comes()
    turn()
    assert served == ["first", "second"]
    second.leaves()
    assert served == ["first", "second", "third"]


def test_a_slow_sender_keeps_nobody_out_and_goes_first_once_its_body_is_there():
    places, served = Admission(1), []
    slow = Caller(places, "slow", served)
    first = Caller(places, "first", served).comes()
    Caller(places, "second", served).comes()
    slow.comes()
    turn()
    assert served == ["first"]
    first.leaves()
    assert served == ["first", "slow"]
    slow.leaves()
    assert served == ["first", "slow", "second"]


def test_no_body_is_received_while_there_is_no_place():
    places, served = Admission(1), []
    inside = Caller(places, "inside", served).comes()
    turn()
    asked = []

    def waits(name):
        places.wait({})
        asked.append(name)
        places.acquire(0.0)

    waiting = [gevent.spawn(waits, name) for name in ("first", "second")]
    turn()
    assert asked == []
    inside.leaves()
    assert asked == ["first"]
    gevent.killall(waiting)


@pytest.mark.parametrize("has_body", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_a_place_of_somebody_who_is_interrupted_is_not_lost(has_body, turns):
    """turns: of the event loop, after a place has been left, until the one who waits for it is interrupted."""
    places, served = Admission(1), []
    interrupted = Caller(places, "interrupted", served) if has_body else None
    first = Caller(places, "first", served).comes()
    interrupted = (interrupted or Caller(places, "interrupted", served)).comes()
    last = Caller(places, "last", served).comes()
    first.end.set()
    for _ in range(turns):
        gevent.sleep()
    interrupted.greenlet.kill(block=False)
    turn()
    last.leaves()
    Caller(places, "next", served).comes()
    turn()
    assert [each for each in served if each != "interrupted"] == ["first", "last", "next"]


def test_who_finds_no_place_in_time_is_told_so_and_out_of_the_line():
    places, served = Admission(1), []
    inside = Caller(places, "inside", served).comes()
    turn()
    with pytest.raises(TooBusy, match=r"1 requests are under way.* and 1 wait"):
        places.wait({})
    with pytest.raises(TooBusy):
        places.acquire(0.9)
    inside.leaves()
    assert places.wait({}) == 0.0


def test_who_was_refused_goes_before_whoever_came_after_that():
    places, served = Admission(1), []
    inside = Caller(places, "inside", served).comes()
    turn()
    with pytest.raises(TooBusy):
        places.wait({"REMOTE_ADDR": "refused"})
    Caller(places, "later", served).comes()
    Caller(places, "refused", served).comes()
    turn()
    inside.leaves()
    assert served == ["inside", "refused"]


def test_callers_who_try_again_and_again_are_served_alike():
    """Each round takes longer than anybody waits for a place."""
    places, served = Admission(2), []

    def call(name):
        while len(served) < 60:
            try:
                waited_s = places.wait({"REMOTE_ADDR": name})
                places.acquire(waited_s)
            except TooBusy:
                continue
            gevent.sleep(0.1)
            served.append(name)
            places.release(0.1)

    gevent.joinall([gevent.spawn(call, name) for name in range(30)])
    counts = [served.count(name) for name in range(30)]
    assert min(counts) >= 1, counts
    assert max(counts) <= 3, counts
