"""What comes after what on one connection: plain requests, which the worker reads itself, and all others."""

import contextlib
import http.client
import json
import signal
import socket
from http.client import HTTPResponse

import pytest
import requests
from service import SCENARIOS


@pytest.fixture(scope="module")
def answers(start_module):
    return start_module(APP_ROOT=SCENARIOS / "answers", TRITON="off").wait_ready()


class Connection:
    """One connection, on which answers are read one by one."""

    def __init__(self, service):
        self.socket = socket.create_connection(("127.0.0.1", service.port), timeout=10)
        self.file = self.socket.makefile("rb")
        self.file.close, self._close = lambda: None, self.file.close

    def makefile(self, *_):
        return self.file

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        response = HTTPResponse(self)
        response.begin()
        return response.status, response.read(), response.headers

    def is_closed(self):
        return self.file.read(1) == b""


@pytest.fixture
def connection(answers):
    opened = Connection(answers)
    yield opened
    opened._close()
    opened.socket.close()


def plain(body, *headers):
    lines = ["POST /score HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbody:c\r\n0\r\n\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def test_many_requests_follow_each_other(connection):
    for number in range(200):
        connection.send(plain(b"body:%d" % number))
        assert json.loads(connection.answer()[1]) == ["str", f"body:{number}"]


def test_requests_sent_before_the_answers_are_answered_in_turn(connection):
    connection.send(b"".join(plain(b"body:%d" % number) for number in range(50)))
    for number in range(50):
        assert json.loads(connection.answer()[1]) == ["str", f"body:{number}"]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_requests_of_every_kind_mix_on_one_connection_however_they_are_cut(connection, pieces):
    kinds = [plain(b"body:a"), plain(b"dict"), CHUNKED, plain(b"body:b"), GET, plain(b"body:c"), CHUNKED]
    sent = b"".join(kinds)
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = max(1, len(sent) // pieces)
    for start in range(0, len(sent), size):
        connection.send(sent[start : start + size])
    bodies = [json.loads(connection.answer()[1]) for _ in kinds]
    assert bodies == [
        ["str", "body:a"],
        {"a": 1},
        ["str", "body:c"],
        ["str", "body:b"],
        {"status": "live"},
        ["str", "body:c"],
        ["str", "body:c"],
    ]


def test_a_body_that_comes_later_in_pieces_is_taken_whole(connection):
    body = b"body:" + b"x" * 3_000_000
    sent = plain(body)
    for start in range(0, len(sent), 700_001):
        connection.send(sent[start : start + 700_001])
    assert json.loads(connection.answer()[1]) == ["str", body.decode()]
    connection.send(plain(b"body:next"))
    assert json.loads(connection.answer()[1]) == ["str", "body:next"]


def test_a_caller_who_asks_to_close_is_hung_up_on_after_the_answer(connection):
    connection.send(plain(b"dict", "Connection: close"))
    status, _, headers = connection.answer()
    assert (status, headers["Connection"]) == (200, "close")
    assert connection.is_closed()


def test_who_expects_100_continue_gets_it(connection):
    connection.send(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert connection.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert connection.file.readline() == b"\r\n"
    connection.send(b"dict")
    assert connection.answer()[:2] == (200, b'{"a": 1}')
    connection.send(plain(b"dict"))
    assert connection.answer()[:2] == (200, b'{"a": 1}')


def test_who_expects_100_continue_for_a_body_that_is_refused_is_not_asked_to_send_it(connection):
    connection.send(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n")
    status, _, headers = connection.answer()
    assert (status, headers["Connection"]) == (413, "close")
    assert connection.is_closed()


@pytest.mark.parametrize("twice", ["Host: y", "Content-Length: 4", "Content-Type: a/b\r\nContent-Type: c/d"])
def test_a_header_that_may_come_once_only_is_refused_the_second_time(connection, twice):
    connection.send(plain(b"dict", twice))
    assert connection.answer()[0] == 400
    assert connection.is_closed()


def test_a_header_that_came_twice_reaches_the_script_joined(connection):
    connection.send(plain(b"body:a", "X-Request-Id: one", "X-Own: 1", "X-Own: 2"))
    status, _, headers = connection.answer()
    assert (status, headers["x-request-id"]) == (200, "one")


def test_answers_are_the_same_whoever_read_the_request(answers):
    """A query takes a request off the plain way, and changes nothing else."""

    def ask(path, kind):
        reply = requests.post(answers.url + path, data=kind, headers={"x-request-id": "same"}, timeout=10)
        volatile = ("Date", "x-ms-run-fn-exec-ms")
        return reply.status_code, reply.content, {k.lower(): v for k, v in reply.headers.items() if k not in volatile}

    kinds = ["dict", "none", "bytes", "array", "response", "no content", "short", "of the server", "cookies", "set"]
    for kind in (*kinds, "not text", "raise", "body:ü".encode()):
        assert ask("/score", kind) == ask("/score?x=1", kind), kind


def test_a_scripts_response_is_closed_when_it_was_sent(answers):
    for number in range(3):
        before = len(answers.score("closed").json())
        assert answers.score("response").status_code == 201
        assert len(answers.score("closed").json()) == before + 1, number


def test_a_script_may_ask_flask_for_the_request(start):
    service = start(APP_ROOT=SCENARIOS / "flask_context", TRITON="off").wait_ready()
    reply = requests.post(service.url + "/score", data=b"12345", headers={"X-Own": "mine"}, timeout=10)
    assert reply.json() == ["POST", "/score", "mine", 5]


def test_a_caller_who_leaves_in_the_middle_of_a_body_harms_nobody(answers):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", answers.port), timeout=10) as caller:
            caller.sendall(plain(b"body:" + b"x" * 200_000)[:100_000])
    assert answers.score("dict").status_code == 200
    assert len(answers.children("gunicorn")) == 2  # no worker had to be replaced


def test_http_client_keeps_its_connection(answers):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", answers.port, timeout=10)) as client:
        sockets = set()
        for _ in range(3):
            client.request("POST", "/score", b"dict")
            assert client.getresponse().read() == b'{"a": 1}'
            sockets.add(client.sock)
        assert len(sockets) == 1


def test_idle_connections_are_closed_at_a_stop_and_what_was_sent_before_is_answered(start):
    """On both ways that a request is read; without a word in the log."""
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off").wait_ready()
    with contextlib.ExitStack() as stack:

        def idle(kind):
            opened = Connection(service)
            stack.callback(opened.socket.close)
            stack.callback(opened._close)
            opened.send(kind)
            assert opened.answer()[0] == 200
            return opened, kind

        left, used = ([idle(kind) for kind in (GET, plain(b"dict")) * 5] for _ in range(2))
        service.process.send_signal(signal.SIGTERM)
        for connection, kind in used:
            connection.send(kind)
            assert connection.answer()[0] == 200
        assert all(connection.is_closed() for connection, _ in (*left, *used))
    assert service.wait_end() == 0
    assert " ERROR " not in service.log.read_text()
