"""Connections to Triton: what is sent a second time, and what is not."""

import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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
