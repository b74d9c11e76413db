"""What run() gets, and how its answers and failures come back."""

import contextlib
import json
import resource
import socket
import uuid

import pytest
import requests
from service import ROOT, SCENARIOS


@pytest.fixture(scope="module")
def answers(start_module):
    return start_module(APP_ROOT=SCENARIOS / "answers", TRITON="off").wait_ready()


def test_the_example_answers_as_the_readme_says(service):
    request = (ROOT / "examples" / "digits" / "request.json").read_bytes()
    reply = requests.post(service.url + "/score", data=request, timeout=10)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json()["digit"] == [2]
    assert reply.text in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("dict", {"a": 1}),
        ("list", [1, 2.5, "x", None, True]),
        ("tuple", [1, 2]),
        ("text", 'say "hello", ü'),
        ("none", {}),
        ("array", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
        ("strings", ["one", "two"]),
        ("scalar", 0.5),
        ("integer", 7),
        ("boolean", True),
        ("nested", {"shape": [1, 2], "label": "cat", "score": 0.25}),
        ("empty", []),
    ],
)
def test_an_answer_comes_back_as_json(answers, kind, answer):
    reply = answers.score(kind)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json() == answer


def test_bytes_come_back_as_they_are(answers):
    reply = answers.score("bytes")
    assert (reply.headers["Content-Type"], reply.content) == ("application/octet-stream", b"\x00\xff")


def test_a_response_comes_back_as_it_is(answers):
    reply = answers.score("response")
    assert (reply.status_code, reply.text, reply.headers["X-Own"]) == (201, "made by hand", "yes")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "image/png", None])
def test_run_gets_the_body_verbatim_whatever_its_content_type(answers, content_type):
    body = 'body: a=1&b=%20 "ü"\n'
    reply = answers.score(body.encode(), headers={"Content-Type": content_type} if content_type else {})
    assert reply.json() == ["str", body]


def test_run_gets_a_chunked_body_whole(answers):
    reply = requests.post(answers.url + "/score", data=iter([b"body:", b"one", b"two"]), timeout=10)
    assert reply.json() == ["str", "body:onetwo"]


@pytest.mark.parametrize("kind", ["set", "not text"])
def test_an_answer_that_json_has_no_form_for_is_a_500(answers, kind):
    reply = answers.score(kind)
    assert (reply.status_code, reply.json()["code"]) == (500, "answer_not_serializable")
    assert reply.json()["message"] == "An unexpected internal error occurred. Check the logs for more info."


@pytest.mark.parametrize("kind", ["raise", "exit", "no such kind"])
def test_a_script_that_raises_is_a_500_whose_traceback_is_in_the_log_alone(answers, kind):
    reply = answers.score(kind, headers={"x-request-id": f"find-{len(kind)}"})
    assert (reply.status_code, reply.json()) == (
        500,
        {
            "message": "An unexpected error occurred in scoring script. Check the logs for more info.",
            "code": "script_failed",
            "request_id": f"find-{len(kind)}",
        },
    )
    log = answers.wait_log(f"[find-{len(kind)}] scoregate: An unexpected error occurred in scoring script")
    assert str(SCENARIOS / "answers" / "score.py") in log


def test_what_a_script_logs_carries_the_request_id(answers):
    assert answers.score("log", headers={"x-request-id": "my-id"}).json() == "logged"
    answers.wait_log("[my-id] my.script: said by the script")


def test_the_request_id_is_echoed_or_made(answers):
    assert answers.score("dict", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    uuid.UUID(answers.score("dict").headers["x-request-id"])
    too_long = answers.score("dict", headers={"x-request-id": "x" * 101})
    assert (too_long.status_code, "x-request-id" in too_long.headers) == (431, False)
    uuid.UUID(too_long.json()["request_id"])


def test_a_body_that_is_not_utf8_is_the_callers_fault(answers):
    reply = answers.score(b"\xff")
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")
    assert reply.json()["message"].startswith("Input cannot be decoded as UTF-8: ")


def test_idle_connections_do_not_keep_others_out(answers):
    """More of them than Gunicorn's own 1,000 worker_connections; each has had one request answered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        for _ in range(1_100):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", answers.port), timeout=10))
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert answers.score("dict").json() == {"a": 1}
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
        ("DELETE", "/score", 405, "method_not_allowed"),
        ("POST", "/score/", 404, "not_found"),
    ],
)
def test_a_wrong_route_or_method_is_told_as_json(answers, method, path, status, code):
    reply = requests.request(method, answers.url + path, timeout=5)
    told = json.loads(reply.text)
    assert (reply.status_code, told["code"], told["request_id"]) == (status, code, reply.headers["x-request-id"])
    assert path in told["message"]
