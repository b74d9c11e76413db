"""Sending ends when a caller takes nothing for a while, not when the whole takes long."""

import gevent
import pytest
from gevent import socket
from scoregate.server import untaken
from scoregate.server.untaken import CallerLeft, Untaken


@pytest.fixture
def ends(monkeypatch):
    monkeypatch.setattr(untaken, "STALL_S", 0.5)
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("buffer", [50_000, 2_000_000])
def test_a_reader_who_goes_on_taking_gets_all_of_it_however_long_it_takes(ends, buffer):
    """Also where the kernel's buffer is so large that it has no room again for longer than the limit."""
    ours, theirs = ends
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    held = Untaken()
    sending = gevent.spawn(held.send, ours, bytes(6_000_000))
    taken = 0
    for _ in range(15):
        gevent.sleep(0.1)
        taken += len(theirs.recv(40_000))
    assert not sending.ready()
    while taken < 6_000_000:
        taken += len(theirs.recv(1_000_000))
    sending.get(timeout=10)
    assert held._bytes == 0


def test_one_who_takes_nothing_is_given_up(ends):
    held = Untaken()
    sending = gevent.spawn(held.send, ends[0], b"head", bytes(20_000_000))
    gevent.sleep(0.1)
    assert held._bytes > 0
    with pytest.raises(CallerLeft):
        sending.get(timeout=10)
    assert held._bytes == 0
