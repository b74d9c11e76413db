"""What an answer says is what was sent, and what is counted; the same on both ways that a request is read."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from service import wait_until

SCRIPT = """
import time
from flask import Response

LARGE = bytes(60_000_000)

def init():
    pass

def chunks(count, fault=None):
    for _ in range(count):
        yield b"x" * 100
    if fault:
        raise fault

def endless():
    while True:
        yield b"x"
        time.sleep(0.05)

def begins_late(how):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if how == "sleeping":
            time.sleep(20)
    yield b"x"

def fails():
    raise ValueError("a secret")
    yield b"x"

finished = []

def run(data):
    what, _, how = data.partition(" ")
    if what == "raises":
        return Response(chunks(1, ValueError("a secret")), headers={"Content-Length": "400"} if how else {})
    if what == "exits":
        return Response(chunks(1, SystemExit(1)), headers={"Content-Length": "400"})
    if what == "of":
        return Response(chunks(2), headers={"Content-Length": how})
    if what == "whole":
        return Response([b"x" * 200], headers={"Content-Length": how})
    if what == "none":
        return Response([], headers={"Content-Length": how})
    if what == "header":
        return Response("x", headers={"X-Own": chr(1)})
    if what == "closing":
        response = Response("x")
        response.call_on_close(lambda: 1 / 0)
        return response
    if what == "endless":
        return endless() if not how else Response(endless())
    if what == "late":
        return begins_late(how)
    if what == "fails":
        return fails()
    if what == "sleep":
        time.sleep(float(how))
        finished.append(data)
    if what == "finished":
        return finished
    if what == "large":
        return LARGE
    return data
"""
WAYS = pytest.mark.parametrize("path", ["/score", "/score?x=1"])


@pytest.fixture(scope="module")
def sending(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("sending")
    (root / "score.py").write_text(SCRIPT)
    return start_module(APP_ROOT=root, TRITON="off", MAX_IN_FLIGHT=2).wait_ready()


def counted(service, status):
    return service.metric(f'scoregate_requests_total{{route="/score",status="{status}"}}')


def ask(path, body):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def all_of_it(service, sent):
    """Send on a connection of its own; return all that comes until the service closes it."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as caller:
        caller.sendall(sent)
        return caller.makefile("rb").read()


@WAYS
@pytest.mark.parametrize(
    ("body", "length", "told"),
    [
        pytest.param("raises 400", 100, "broke off after 100 bytes", id="raises"),
        pytest.param("raises", 100 + len("64\r\n\r\n"), "broke off after 100 bytes", id="raises, chunked"),
        pytest.param("exits", 100, "broke off after 100 bytes", id="exits"),
        pytest.param("of 400", 200, "has less bytes than its Content-Length, 400", id="stream too short"),
        pytest.param("of 150", 150, "has more bytes than its Content-Length, 150", id="stream too long"),
        pytest.param("whole 400", 200, "has less bytes than its Content-Length, 400", id="too short"),
        pytest.param("none 400", 0, "has less bytes than its Content-Length, 400", id="nothing"),
        pytest.param("whole 150", 150, "has more bytes than its Content-Length, 150", id="too long"),
    ],
)
def test_an_answer_that_is_not_what_its_head_said_ends_the_connection_and_is_counted(sending, path, body, length, told):
    broken, good = counted(sending, "broken"), counted(sending, "200")
    head, _, rest = all_of_it(sending, ask(path, body) + ask(path, "next")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(rest) == length  # neither another answer nor the mark of a whole one
    assert counted(sending, "broken") == broken + 1
    assert counted(sending, "200") == good
    sending.wait_log(told)
    assert sending.score("next").json() == "next"


@WAYS
def test_the_status_that_is_counted_is_the_one_that_was_sent(sending, path):
    before = counted(sending, "200"), counted(sending, "500")
    assert all_of_it(sending, ask(path, "header")).startswith(b"HTTP/1.1 500 ")
    assert (counted(sending, "200"), counted(sending, "500")) == (before[0], before[1] + 1)


@WAYS
def test_what_fails_after_an_answer_is_no_second_answer(sending, path):
    with requests.Session() as session:
        for body in ("closing", "next"):
            reply = session.post(sending.url + path, body, timeout=10)
            assert reply.status_code == 200
    sending.wait_log("what the script does after it failed")


def test_a_request_of_http_1_1_says_for_which_host_it_is(sending):
    for sent in (b"POST /score HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b"GET /health/live HTTP/1.1\r\n\r\n"):
        reply = all_of_it(sending, sent)
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert b"must have a Host header" in reply
    assert all_of_it(sending, b"GET /health/live HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize("method", ["PUT", "HEAD", "BREW"])
def test_what_is_allowed_is_what_is_not_refused(sending, method):
    reply = requests.request(method, sending.url + "/score", timeout=10)
    assert reply.status_code == 405
    allowed = reply.headers["Allow"].split(", ")
    assert sorted(allowed) == ["GET", "OPTIONS", "POST"]
    for each in allowed:
        assert requests.request(each, sending.url + "/score", data="next", timeout=10).ok


def test_a_script_that_takes_the_request_itself_is_allowed_head(start, tmp_path):
    (tmp_path / "score.py").write_text(
        "from azureml.contrib.services.aml_request import rawhttp\n"
        "from azureml.contrib.services.aml_response import AMLResponse\n"
        "def init(): pass\n"
        "@rawhttp\n"
        "def run(request): return AMLResponse(request.method, 200)\n"
    )
    service = start(APP_ROOT=tmp_path, TRITON="off").wait_ready()
    allowed = requests.put(service.url + "/score", timeout=10).headers["Allow"].split(", ")
    assert sorted(allowed) == ["GET", "HEAD", "OPTIONS", "POST"]
    assert requests.head(service.url + "/score", timeout=10).ok


def resident_bytes(service):
    return sum(
        int(line.split()[1]) * 1024
        for pid in service.children("gunicorn")
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )


@WAYS
def test_a_worker_keeps_a_gib_of_answers_that_nobody_takes_and_then_refuses(sending, path):
    """The script answers all with the same bytes, of which so no more than one copy is needed."""
    before = resident_bytes(sending)
    gone = counted(sending, "client_gone")
    with contextlib.ExitStack() as stack:
        callers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", sending.port), timeout=10)) for _ in range(30)
        ]
        for each in callers:
            each.sendall(ask(path, "large"))
        firsts = [each.recv(12) for each in callers]
        assert set(firsts) == {b"HTTP/1.1 200", b"HTTP/1.1 429"}
        refused = requests.post(sending.url + path, "next", timeout=10)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert "Callers have not taken" in refused.json()["message"]
        assert requests.get(sending.url + "/health/live", timeout=10).ok
        assert resident_bytes(sending) - before < 300_000_000
    left = gone + firsts.count(b"HTTP/1.1 200")
    wait_until(lambda: counted(sending, "client_gone") == left, 10, "all have left", sending.log)
    assert sending.score("next").ok


def test_callers_who_read_while_others_do_not_get_all_of_it(sending):
    with ThreadPoolExecutor(4) as pool:
        assert {len(each.content) for each in pool.map(lambda _: sending.score("large"), range(4))} == {60_000_000}


@WAYS
@pytest.mark.parametrize("how", ["sleeping", "computing"])
def test_an_answer_in_pieces_begins_in_time_or_is_late(sending, path, how):
    reply = requests.post(sending.url + path, f"late {how}", headers={"x-request-timeout-ms": "300"}, timeout=10)
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
    assert "ran out in run()" in reply.json()["message"]
    wait_until(lambda: sending.metric("scoregate_requests_in_flight") == 0, 5, "its place is free", sending.log)


@WAYS
def test_an_answer_in_pieces_that_fails_before_its_first_is_the_scripts_failure(sending, path):
    reply = requests.post(sending.url + path, "fails", timeout=10)
    assert (reply.status_code, reply.json()["code"]) == (500, "script_failed")


@contextlib.contextmanager
def both_places_taken(service, path, body="endless"):
    """By callers who get pieces of an answer, and leave in the end."""
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10))
            caller.sendall(ask(path, body))
            assert caller.recv(12) == b"HTTP/1.1 200"
        yield
    wait_until(lambda: service.metric("scoregate_requests_in_flight") == 0, 5, "both places are free", service.log)


@WAYS
@pytest.mark.parametrize("body", ["endless", "endless response"])
def test_an_answer_in_pieces_keeps_its_place_until_its_end_or_until_its_caller_leaves(sending, path, body):
    with both_places_taken(sending, path, body):
        assert sending.metric("scoregate_requests_in_flight") == 2
        assert sending.score("next").status_code == 429
    assert sending.score("next").ok


@WAYS
def test_a_caller_who_leaves_while_waiting_for_a_place_is_not_waited_for(sending, path):
    gone = counted(sending, "client_gone")
    with both_places_taken(sending, path):
        with socket.create_connection(("127.0.0.1", sending.port), timeout=10) as caller:
            caller.sendall(ask(path, "next"))
        wait_until(lambda: counted(sending, "client_gone") == gone + 1, 5, "gone", sending.log)


@WAYS
def test_a_caller_who_closes_only_its_half_has_left_too_and_is_told(sending, path):
    """Also one that has sent more than one request."""
    with both_places_taken(sending, path), socket.create_connection(("127.0.0.1", sending.port), timeout=10) as caller:
        caller.sendall(ask(path, "next") * 2)
        caller.shutdown(socket.SHUT_WR)
        assert caller.makefile("rb").read().count(b"HTTP/1.1 499 ") == 2


@WAYS
def test_a_body_that_breaks_off_is_a_caller_who_left(sending, path):
    gone, bad = counted(sending, "client_gone"), counted(sending, "400")
    with socket.create_connection(("127.0.0.1", sending.port), timeout=10) as caller:
        caller.sendall(ask(path, "body " + "x" * 100_000)[:50_000])
    wait_until(lambda: counted(sending, "client_gone") == gone + 1, 5, "gone", sending.log)
    assert counted(sending, "400") == bad


@WAYS
def test_a_script_runs_to_its_end_although_its_caller_has_left(sending, path):
    with socket.create_connection(("127.0.0.1", sending.port), timeout=10) as caller:
        caller.sendall(ask(path, "sleep 1.5"))
        wait_until(lambda: sending.metric("scoregate_requests_in_flight") == 1, 5, "it is inside", sending.log)
    before = len(sending.score("finished").json())
    wait_until(lambda: len(sending.score("finished").json()) == before + 1, 10, "it has ended", sending.log)
