"""Scripts that take their time: coroutines, generators, run() past its time, run() that ends the process."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from service import wait_until
from style_models import SLEEPS, put_python

LIMIT_MS = 1500
TOO_LATE = (500, f"Scoring timeout after {LIMIT_MS} ms")


@pytest.fixture(scope="module")
def styles(start_style, tmp_path_factory):
    directory = tmp_path_factory.mktemp("registered")
    put_python(directory / "triton", "sleepy", SLEEPS.replace("SECONDS", "0.2"))
    put_python(directory / "triton", "asleep", SLEEPS.replace("SECONDS", "4"))
    return {name: start_style(name, directory, SCORING_TIMEOUT_MS=LIMIT_MS) for name in ("asynchronous", "patience")}


@pytest.fixture
def asynchronous(styles):
    return styles["asynchronous"].wait_ready()


@pytest.fixture
def patience(styles):
    return styles["patience"].wait_ready()


def status_and_message(reply):
    return reply.status_code, reply.json()["message"]


def timed(ask):
    started = time.monotonic()
    return ask(), time.monotonic() - started


def at_once(ask, bodies):
    with ThreadPoolExecutor(len(bodies)) as pool:
        return [reply.json() for reply in pool.map(ask, bodies)]


def test_sixteen_coroutines_wait_side_by_side(asynchronous):
    bodies = [{"do": f"number {number}", "seconds": 1} for number in range(16)]
    answers, seconds = timed(lambda: at_once(asynchronous.score, bodies))
    assert answers == [body["do"] for body in bodies]
    assert seconds < 4, "one after another they take 16 s"


def test_coroutines_ask_triton_side_by_side(asynchronous):
    bodies = [{"do": "infer", "row": [number, 1, 1]} for number in range(16)]
    answers, seconds = timed(lambda: at_once(asynchronous.score, bodies))
    assert answers == [[[number + 2.0]] for number in range(16)]
    assert seconds < 2, "one after another they take 3.2 s"


def test_a_coroutine_asks_triton_with_its_asyncio_client(asynchronous):
    answers = at_once(asynchronous.score, [{"do": "aio", "row": [number, 1, 1]} for number in range(8)])
    assert answers == [[[number + 2.0]] for number in range(8)]
    assert asynchronous.score({"do": "aio", "model": "unheard", "row": [1, 1, 1]}).json()["code"] == "triton_refused"


def test_a_coroutine_that_raises_or_waits_too_long_is_a_500(asynchronous):
    assert status_and_message(asynchronous.score({"do": "fail"}))[1].startswith("An unexpected error occurred in scor")
    asynchronous.wait_log("LookupError: of the script")
    assert status_and_message(asynchronous.score({"do": "wait", "seconds": 20})) == TOO_LATE


def test_a_coroutine_that_computes_too_long_is_a_500(asynchronous):
    assert status_and_message(asynchronous.score({"do": "compute"})) == TOO_LATE
    assert asynchronous.score({"do": "next"}).json() == "next"


def test_a_coroutine_that_exits_is_a_500_and_others_are_answered(asynchronous):
    workers = asynchronous.children("gunicorn")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(asynchronous.score, {"do": "other", "seconds": 1})
        wait_until(lambda: asynchronous.metric("scoregate_requests_in_flight") == 1, 5, "the other is in flight")
        assert asynchronous.score({"do": "exit"}).status_code == 500
        assert other.result().json() == "other"
    wait_until(lambda: set(workers) - set(asynchronous.children("gunicorn")), 20, "replaced", asynchronous.log)
    asynchronous.wait_ready()
    assert asynchronous.score({"do": "next"}).json() == "next"


@pytest.mark.parametrize(
    "body", [{"do": "compute"}, {"do": "sleep", "seconds": 20}, {"do": "infer"}], ids=lambda body: body["do"]
)
def test_run_past_its_time_is_a_500_and_the_worker_goes_on(patience, body):
    """Another request, which began before, gets its answer as well, from the same worker."""
    worker = patience.score({"do": "nothing"}).json()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(patience.score, {"do": "sleep", "seconds": 1})
        wait_until(lambda: patience.metric("scoregate_requests_in_flight") == 1, 5, "the other is in flight")
        reply, seconds = timed(lambda: patience.score(body))
        assert (*status_and_message(reply), reply.headers["x-ms-run-function-failed"]) == (*TOO_LATE, "True")
        assert seconds < LIMIT_MS / 1000 + 1
        assert (other.result().status_code, other.result().json()) == (200, worker)
    assert patience.score({"do": "nothing"}).json() == worker


def test_a_generator_is_streamed_part_by_part(patience):
    reply = requests.post(patience.url + "/score", json={"do": "stream", "count": 3}, stream=True, timeout=10)
    parts, seconds = timed(lambda: list(reply.iter_content(None)))
    assert (reply.status_code, reply.headers["Transfer-Encoding"]) == (200, "chunked")
    assert parts == [b"part 0\n", b"part 1\n", b"part 2\n"]
    assert seconds > 0.5, "they would have come together"


def test_what_a_script_prints_and_logs_is_in_the_log_before_it_answers(patience):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(patience.score, {"do": "dawdle", "seconds": 1}, headers={"x-request-id": "slow-one"})
        wait_until(lambda: "\nabout to dawdle\n" in patience.log.read_text(), 5, "printed")
        wait_until(lambda: "[slow-one] root: asked for dawdle\n" in patience.log.read_text(), 5, "logged")
        assert not slow.done()


def test_a_script_that_exits_is_a_500_its_worker_replaced_and_others_answered(patience):
    worker = patience.score({"do": "nothing"}).json()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(patience.score, {"do": "sleep", "seconds": 1})
        wait_until(lambda: patience.metric("scoregate_requests_in_flight") == 1, 5, "the other is in flight")
        reply = patience.score({"do": "exit"})
        assert status_and_message(reply) == (
            500,
            "An unexpected error occurred in scoring script. Check the logs for more info.",
        )
        assert (other.result().status_code, other.result().json()) == (200, worker)

    def replaced():
        reply = patience.score({"do": "nothing"})
        return reply.status_code == 200 and reply.json() != worker

    wait_until(replaced, 20, "another worker answers", patience.log)
