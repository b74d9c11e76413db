"""Callers who are slow on purpose, or who hide a request in another one, harm nobody else.

More of that kind: test_fuzz.py (bodies without end, headers beyond the limits, what is not valid), test_score.py (idle
connections), test_connection.py (pipelining).
"""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from service import wait_until

SCRIPT = """
calls = []

def init():
    pass

def run(data):
    if data == "large":
        return bytes(45_000_000)
    calls.append(data)
    return calls if data == "calls" else data
"""
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\n"
SLOW = 300


@pytest.fixture(scope="module")
def counting(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("counting")
    (root / "score.py").write_text(SCRIPT)
    return start_module(APP_ROOT=root, TRITON="off").wait_ready()


def test_slow_heads_and_bodies_that_stop_keep_nobody_waiting_and_are_ended(counting):
    """A body is given up after 30 s without a byte. Those who send heads a byte at a time are served if they go on."""
    workers = counting.children("gunicorn")
    with contextlib.ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", counting.port), timeout=60))

        plain, chunked = connect(), connect()
        plain.sendall(HEAD + b"Content-Length: 5\r\n\r\nab")
        chunked.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")
        slow = [connect() for _ in range(SLOW)]
        whole = HEAD + b"Content-Length: 4\r\n\r\nslow"
        with ThreadPoolExecutor(2) as pool:
            stalled = [pool.submit(each.makefile("rb").read) for each in (plain, chunked)]
            for at in range(len(whole)):
                for each in slow:
                    each.send(whole[at : at + 1])
                assert counting.score("x").json() == "x"
            for each in slow:
                assert each.recv(1000).startswith(b"HTTP/1.1 200 ")
            for each in stalled:
                reply = each.result()  # read until we are hung up on
                assert reply.startswith(b"HTTP/1.1 408 ")
                assert b"did not come. Send it without a pause." in reply
    assert counting.children("gunicorn") == workers


def taken_slowly(counting, path: str) -> int:
    """Take an answer at a megabyte a second; tell how many bytes it had."""
    with socket.create_connection(("127.0.0.1", counting.port), timeout=60) as caller:
        caller.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nlarge".encode())
        count = 0
        while count < 45_000_000 and (piece := caller.recv(100_000, socket.MSG_WAITALL)):
            count += len(piece)
            time.sleep(0.1)
        return count


def test_a_head_that_is_begun_and_never_finished_is_cut_off_and_who_takes_an_answer_slowly_is_not(counting):
    """A head after 75 s, whether its sender stops or goes on with a byte now and then."""
    with contextlib.ExitStack() as stack:
        stops, drips = (
            stack.enter_context(socket.create_connection(("127.0.0.1", counting.port), timeout=150)) for _ in range(2)
        )
        pool = stack.enter_context(ThreadPoolExecutor(4))
        stops.sendall(HEAD + b"X: ")
        drips.sendall(HEAD + b"X: ")
        ends = [pool.submit(each.makefile("rb").read) for each in (stops, drips)]
        takers = [pool.submit(taken_slowly, counting, path) for path in ("/score", "/score?x=1")]

        def cut_off() -> bool:
            assert counting.score("x").json() == "x"
            with contextlib.suppress(OSError):
                drips.send(b"x")
            return all(each.done() for each in ends)

        wait_until(cut_off, 120, "cut off", counting.log)
        assert ends[0].result() == b""  # the other one was still sending, and may be reset
        assert all(each.result() >= 45_000_000 for each in takers)


@pytest.mark.parametrize(
    "smuggling",
    [
        pytest.param(b"Content-Length: 39\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="both framings"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 39\r\n\r\n0\r\n\r\n", id="both, the other way"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 39\r\n\r\n", id="two lengths"),
        pytest.param(b"Content-Length: 0, 39\r\n\r\n", id="two lengths in one"),
        pytest.param(b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", id="a blank that is none"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown coding"),
        pytest.param(b"Transfer-Encoding: chunked\nContent-Length: 0\r\n\r\n0\r\n\r\n", id="bare LF"),
        pytest.param(b"X: y\r\n Content-Length: 39\r\n\r\n", id="folded"),
        pytest.param(b"Content-Length : 39\r\n\r\n", id="blank before the colon"),
        pytest.param(b"Content-Length: +0\r\n\r\n", id="signed length"),
        pytest.param(b"Content-Length: 0x0\r\n\r\n", id="hexadecimal length"),
    ],
)
def test_no_request_is_hidden_in_another(counting, smuggling):
    """What the framing leaves open is refused, and the connection ends there: what follows is nobody's request."""
    with socket.create_connection(("127.0.0.1", counting.port), timeout=10) as caller:
        caller.sendall(HEAD + smuggling + HEAD + b"Content-Length: 8\r\n\r\nsmuggled")
        replies = caller.makefile("rb").read()
    assert replies.count(b"HTTP/1.1 ") == 1
    assert replies.split(b" ", 2)[1] in (b"400", b"501")
    assert b"Connection: close" in replies
    assert "smuggled" not in counting.score("calls").json()
