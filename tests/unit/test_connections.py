"""Connections to Triton: what is sent a second time, and what is not."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import gevent
import pytest
from scoregate.triton.connections import Connections

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
End = Callable[[socket.socket], None]


def reset(connection: socket.socket) -> None:
    """Close with data unread, as who hung up before it came."""
    connection.recv(1, socket.MSG_PEEK)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def die(connection: socket.socket) -> None:
    """Read the request, then end without an answer, as who dies while at work on it."""
    connection.recv(65536)
    connection.close()


@pytest.fixture
def port_of(request: pytest.FixtureRequest) -> Iterator[tuple[int, Future[int]]]:
    """A server that answers one request on its first connection, and ends it so at the second; then it answers."""
    end: End = request.param

    def serve() -> int:
        first, _ = listener.accept()
        first.recv(65536)
        first.sendall(ANSWER)
        end(first)
        listener.settimeout(1)
        try:
            second, _ = listener.accept()
        except TimeoutError:
            return 1
        with second:
            second.recv(65536)
            second.sendall(ANSWER)
        return 2

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        yield listener.getsockname()[1], pool.submit(serve)


@pytest.mark.parametrize("port_of", [reset], indirect=True)
def test_a_request_on_a_connection_that_was_closed_before_it_came_is_sent_again(port_of):
    port, connected = port_of
    connections = Connections(f"127.0.0.1:{port}", 5, 5)
    assert [bytes(connections.post("/x", b"body").body) for _ in range(2)] == [b"ok", b"ok"]
    assert connected.result() == 2
    connections._idle_one()  # which finds that it was closed, and closes its own end


@pytest.mark.parametrize("port_of", [die], indirect=True)
def test_one_that_may_have_been_worked_on_is_not(port_of):
    port, connected = port_of
    connections = Connections(f"127.0.0.1:{port}", 5, 5)
    assert bytes(connections.post("/x", b"body").body) == b"ok"
    with pytest.raises(ConnectionError, match="closed the connection"):
        connections.post("/x", b"body")
    assert connected.result() == 1


@pytest.fixture
def server() -> Iterator[tuple[int, set[bytes], list[socket.socket]]]:
    """Answers any request on any connection; tells its port, the bodies that came, and its ends of the connections."""
    came: set[bytes] = set()
    ends: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := connection.recv(65536):
                came.add(request.rpartition(b"\r\n\r\n")[2])
                connection.sendall(ANSWER)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                ends.append(listener.accept()[0])
                threading.Thread(target=serve, args=(ends[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], came, ends
        listener.shutdown(socket.SHUT_RDWR)
        for each in ends:
            each.close()


@pytest.fixture
def connections(server) -> Iterator[Connections]:
    yield (made := Connections(f"127.0.0.1:{server[0]}", 5, 5))
    for each in made._idle.connections:
        each.close()


def test_clients_with_other_timeouts_share_one_connection(server, connections):
    port, _, ends = server
    for each in range(100):
        assert bytes(Connections(f"127.0.0.1:{port}", 5 + each, 60 + each).post("/x", b"body").body) == b"ok"
    assert len(ends) == len(connections._idle.connections) == 1


def test_what_is_asked_in_one_turn_is_sent_together_and_who_is_alone_does_not_wait(server, connections):
    _, came, _ = server
    bodies = [b"1", b"2", b"3"]

    def hold_until_came(body: bytes, seconds: float) -> bool:
        """Let no other greenlet run; tell whether it came."""
        end = time.monotonic() + seconds
        while body not in came and time.monotonic() < end:
            time.sleep(0.001)
        return body in came

    def ask(body: bytes) -> bytes:
        if body == b"2":
            assert hold_until_came(b"1", 10)  # it was alone
        if body == b"3":
            assert not hold_until_came(b"2", 0.3)
        return bytes(connections.post("/x", body).body)

    gevent.joinall([gevent.spawn(connections.post, "/x", body) for body in bodies])  # now there is no connecting
    came.clear()
    asked = [gevent.spawn(ask, body) for body in bodies]
    assert [each.get() for each in asked] == [b"ok"] * 3


def test_a_send_that_fails_in_its_turn_is_told_to_who_waits_and_made_again(server, connections, monkeypatch):
    _, _, ends = server

    def ask_twice() -> list[bytes]:
        asked = [gevent.spawn(connections.post, "/x", b"body") for _ in range(2)]
        return [bytes(each.get().body) for each in asked]

    assert ask_twice() == [b"ok", b"ok"]
    for each in ends:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.shutdown(socket.SHUT_RD)  # for the thread that receives from it
        each.close()
    monkeypatch.setattr("scoregate.triton.connections._TritonConnection.is_alive", lambda _: True)
    assert ask_twice() == [b"ok", b"ok"]
    assert len(ends) == 4
