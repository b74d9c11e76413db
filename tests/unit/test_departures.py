"""Who has left is known by what the caller did to the connection, not by what this worker did."""

from types import SimpleNamespace

import gevent
import pytest
from gevent import socket
from scoregate.server.departures import Departures


class Waiting:
    """A request that waits for Triton."""

    doing = "waiting for Triton"

    def __init__(self):
        self.greenlet = object()
        self.woken_by = None

    def may_be_woken(self):
        return self.woken_by is None

    def wake(self, error):
        self.woken_by = error


@pytest.fixture
def request_on_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        client, _ = listener.accept()
    request = Waiting()
    connection = SimpleNamespace(client=client, is_gone=False, is_let_go=False)
    departures = Departures(SimpleNamespace(under_way=lambda: [request]), {request.greenlet: connection})
    departures.start()
    with caller, client:
        yield request, connection, caller
        departures._timer.close()


def test_a_caller_who_closes_has_left(request_on_a_connection):
    request, connection, caller = request_on_a_connection
    caller.shutdown(socket.SHUT_WR)
    with gevent.Timeout(10):
        while not request.woken_by:
            gevent.sleep(0.05)
    assert connection.is_gone


def test_a_caller_whose_connection_this_worker_lets_go_of_has_not_left(request_on_a_connection):
    request, connection, _ = request_on_a_connection
    connection.is_let_go = True
    connection.client.shutdown(socket.SHUT_RD)
    looks = 0

    def look():
        nonlocal looks
        looks += 1

    timer = gevent.get_hub().loop.timer(0.5, 0.5)
    timer.start(look)
    with gevent.Timeout(10):
        while looks < 3:
            gevent.sleep(0.05)
    timer.close()
    assert not request.woken_by
    assert not connection.is_gone
