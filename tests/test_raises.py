"""What a script raises that is no Exception: its request fails, the worker and its other requests go on."""

import json
import socket

import pytest
import requests
from service import SCENARIOS, wait_until

KINDS = ["PanicException", "KeyboardInterrupt", "GeneratorExit", "gevent.Timeout", "GreenletExit", "BaseException"]


@pytest.fixture(scope="module")
def raises(start_module):
    return start_module(APP_ROOT=SCENARIOS / "raises", TRITON="off").wait_ready()


def whole(service, text):
    """The answer to a request that the worker reads itself."""
    return service.score(text)


def chunked(service, text):
    """The answer to one that Gunicorn reads."""
    return requests.post(service.url + "/score", data=iter([text.encode()]), timeout=30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["run", "coroutine", "conversion", "answer"])
@pytest.mark.parametrize("ask", [whole, chunked])
def test_what_is_no_exception_is_a_failure_of_the_script_and_counted(raises, ask, where, kind):
    pid = whole(raises, "pid").json()
    counted = raises.metric('scoregate_requests_total{route="/score",status="500"}')
    reply = ask(raises, f"{where} {kind}")
    assert (reply.status_code, reply.json()["code"]) == (500, "script_failed")
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert "a secret" not in reply.text
    raises.wait_log(f"[{reply.headers['x-request-id']}] scoregate: An unexpected error occurred in scoring script")
    wait_until(
        lambda: raises.metric('scoregate_requests_total{route="/score",status="500"}') == counted + 1,
        10,
        "counted",
        raises.log,
    )
    assert raises.metric("scoregate_requests_in_flight") == 0
    assert whole(raises, "pid").json() == pid


@pytest.mark.parametrize("kind", ["ValueError", "KeyboardInterrupt", "SystemExit"])
def test_what_runs_after_an_answer_is_logged_and_is_no_second_answer(raises, kind):
    pid = whole(raises, "pid").json()
    with socket.create_connection(("127.0.0.1", raises.port), timeout=10) as caller:
        sent = f"close {kind}"
        for body in (sent, "pid"):
            caller.sendall(f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            head, _, rest = caller.makefile("rb").read1(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert rest == (b"closed later" if body == sent else json.dumps(pid).encode())
    raises.wait_log("The answer was sent, but what the script does after it failed.")


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemError"])
def test_a_greenlet_of_the_scripts_ends_alone(raises, kind):
    pid = whole(raises, "pid").json()
    assert whole(raises, f"greenlet {kind}").json() == "spawned"
    assert whole(raises, "pid").json() == pid


@pytest.mark.parametrize("ask", [whole, chunked])
def test_an_answer_that_cannot_be_sent_is_an_internal_error(raises, ask):
    reply = ask(raises, "header x")
    assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
    assert reply.json()["message"] == "An unexpected internal error occurred. Check the logs for more info."
