"""Deadlines and back-pressure: what is late, or too much, is told so; what nobody waits for is not done."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from load import Load
from service import wait_until

SCRIPT = """
import time
import numpy as np
import tritonclient.http as triton
from scoregate import TritonModel

def init():
    global client, models
    client = triton.InferenceServerClient("localhost:8000")
    models = {name: TritonModel(name) for name in ("queued", "limited", "brief")}

def run(data):
    what, _, how = data.partition(" ")
    if what == "sleep":
        time.sleep(float(how))
    elif what == "compute":
        end = time.monotonic() + float(how)
        while time.monotonic() < end:
            pass
    elif what == "own":
        return models[how](x=np.zeros((1, 1), np.float32))["y"]
    elif what == "unmodified":
        tensor = triton.InferInput("x", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 1), np.float32))
        return client.infer(how, [tensor]).as_numpy("y")
    return data
"""
# A model that takes a second for each request; Triton queues the others: for 10 s at most, so many of them, for 0.1 s.
MODEL = """
import time
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        time.sleep(1)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", each.inputs()[0].as_numpy())]) for each in requests]
"""
CONFIG = """
backend: "python"
max_batch_size: 1
input [{ name: "x", data_type: TYPE_FP32, dims: [1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [1] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
dynamic_batching { default_queue_policy { POLICY } }
"""
POLICIES = {
    "queued": "allow_timeout_override: true, default_timeout_microseconds: 10000000, timeout_action: REJECT",
    "limited": "max_queue_size: 1",
    "brief": "default_timeout_microseconds: 100000, timeout_action: REJECT",
}


@pytest.fixture(scope="module")
def late(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("late")
    (root / "score.py").write_text(SCRIPT)
    for name, policy in POLICIES.items():
        (root / "triton" / name / "1").mkdir(parents=True)
        (root / "triton" / name / "1" / "model.py").write_text(MODEL)
        (root / "triton" / name / "config.pbtxt").write_text(CONFIG.replace("POLICY", policy))
    return start_module(APP_ROOT=root, MODEL_DIR=root, SCORING_TIMEOUT_MS=5000, MAX_IN_FLIGHT=8).wait_ready()


def within(milliseconds):
    return {"headers": {"x-request-timeout-ms": str(milliseconds)}}


@pytest.mark.parametrize(
    ("body", "doing"),
    [("sleep 3", "in run()"), ("compute 3", "in run()"), ("own queued", "waiting for Triton")],
)
def test_a_client_shortens_its_own_requests_time(late, body, doing):
    reply = late.score(body, **within(300))
    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (504, "deadline_exceeded", "1")
    assert f"The 300 ms that x-request-timeout-ms allows ran out {doing}." in reply.json()["message"]


def test_it_does_not_lengthen_the_services(late):
    reply = late.score("sleep 20", **within(60000))
    assert (reply.status_code, reply.json()["message"]) == (500, "Scoring timeout after 5000 ms")
    assert (reply.json()["code"], reply.json()["detail"]) == ("scoring_timeout", "The time ran out in run().")


@pytest.mark.parametrize("wish", ["0", "-1", "1.5", "soon", "\u0663", "9" * 11])
def test_a_deadline_that_is_none_is_told(late, wish):
    reply = requests.post(late.url + "/score", b"x", headers={"x-request-timeout-ms": wish.encode()}, timeout=5)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_input")
    assert "is not a whole number of milliseconds" in reply.json()["message"]


@pytest.mark.parametrize("call", ["own", "unmodified"])
def test_what_nobody_waits_for_is_not_computed(late, call):
    def executed() -> float:
        return late.metric('nv_inference_exec_count{model="queued"')

    before = executed()
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: late.score(f"{call} queued", **within(1500)), range(4)))
    codes = [each.status_code for each in replies]
    assert codes.count(200) == 1
    assert codes.count(504) == 3
    # The second may have begun; those after it have left the queue when their time was over.
    assert late.score("own queued").ok
    assert executed() - before <= 3


@pytest.mark.parametrize("call", ["own", "unmodified"])
@pytest.mark.parametrize(
    ("model", "status", "code", "told"),
    [
        pytest.param("limited", 429, "triton_queue_full", "queue in Triton is full", id="full"),
        pytest.param("brief", 504, "triton_timeout", "waited too long in the model's queue in Triton", id="too long"),
    ],
)
def test_tritons_queue_refuses_although_the_request_has_time_left(late, call, model, status, code, told):
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: late.score(f"{call} {model}"), range(6)))
    codes = [each.status_code for each in replies]
    assert set(codes) == {200, status}
    refused = replies[codes.index(status)]
    assert (refused.json()["code"], refused.headers["Retry-After"]) == (code, "1")
    assert told in refused.json()["message"]


def test_more_than_max_in_flight_wait_for_a_place_and_not_for_long(late):
    with ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(late.score, ["sleep 0.7"] * 24))
        # Three times eight: the second eight find a place after 0.7 s, the third after 1.4 s, which is too long.
        assert sorted(each.status_code for each in replies) == [200] * 16 + [429] * 8
    refused = next(each for each in replies if each.status_code == 429)
    assert refused.json()["code"] == "too_many_requests"
    assert int(refused.headers["Retry-After"]) >= 1
    assert "8 requests are under way, as many as MAX_IN_FLIGHT allows" in refused.json()["message"]


def test_a_deadline_that_passes_while_there_is_no_place_says_so(late):
    with ThreadPoolExecutor(8) as pool:
        busy = [pool.submit(late.score, "sleep 2") for _ in range(8)]
        wait_until(lambda: late.metric("scoregate_requests_in_flight") == 8, 5, "all places are taken")
        reply = late.score("x", **within(300))
        assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
        assert "ran out waiting for a place." in reply.json()["message"]
        assert all(each.result().ok for each in busy)


def test_retry_after_is_longer_where_requests_take_longer(late):
    """After one mean time, as many of those who wait are served as there are places."""
    with ThreadPoolExecutor(9) as pool:
        for _ in range(4):
            list(pool.map(late.score, ["sleep 3"] * 8))
        busy = [pool.submit(late.score, "sleep 4") for _ in range(8)]
        wait_until(lambda: late.metric("scoregate_requests_in_flight") == 8, 5, "all places are taken")
        refused = late.score("x")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 2
        assert all(each.result().ok for each in busy)


def test_probes_and_metrics_need_no_place_and_a_refusal_no_body(late):
    with ThreadPoolExecutor(8) as pool, socket.create_connection(("127.0.0.1", late.port)) as caller:
        busy = [pool.submit(late.score, "sleep 4") for _ in range(8)]
        wait_until(lambda: late.metric("scoregate_requests_in_flight") == 8, 5, "all places are taken")
        caller.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 429 ")
        assert all(
            requests.get(late.url + path, timeout=2).ok for path in ("/health/live", "/health/ready", "/metrics")
        )
        assert all(each.result().ok for each in busy)


def test_slow_senders_take_no_place(late):
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx"
    slow = [socket.create_connection(("127.0.0.1", late.port)) for _ in range(20)]
    for each in slow:
        each.sendall(head)
    assert late.score("x").json() == "x"
    for each in slow:
        each.sendall(b"y")
        assert each.recv(100).startswith(b"HTTP/1.1 200 ")
        each.close()


def test_a_body_that_is_not_there_in_time_is_408(late):
    with socket.create_connection(("127.0.0.1", late.port)) as slow:
        slow.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nx-request-timeout-ms: 200\r\nContent-Length: 2\r\n\r\nx")
        reply = slow.makefile("rb").read()
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in reply
        assert b'"code": "request_timeout"' in reply


def test_callers_who_leave_while_triton_is_asked_are_not_waited_for(late):
    """Triton would take a second for each of those inside; the others wait for a place."""
    gone = late.metric('scoregate_requests_total{route="/score",status="client_gone"}')
    body = b"own queued"
    callers = []
    for count in (8, 92):
        callers += [socket.create_connection(("127.0.0.1", late.port)) for _ in range(count)]
        for each in callers[-count:]:
            each.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        wait_until(lambda: late.metric("scoregate_requests_in_flight") >= 7, 5, "Triton is asked")
    for each in callers:
        each.close()
    wait_until(lambda: late.metric("scoregate_requests_in_flight") == 0, 3, "nobody is inside", late.log)
    assert late.metric('scoregate_requests_total{route="/score",status="client_gone"}') >= gone + 7
    assert late.score("x").ok


def test_a_worker_stuck_in_computing_is_replaced_and_only_its_own_requests_are_lost(start, tmp_path):
    (tmp_path / "score.py").write_text(
        "import ctypes, os, signal\n"
        "def init(): pass\n"
        "def run(data):\n"
        "    if data == 'hold':\n"
        "        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "        ctypes.PyDLL(None).sleep(600)\n"
        "    return os.getpid()\n"
    )
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2, WORKER_TIMEOUT=2).wait_ready()
    before = set(service.children("gunicorn"))
    # Each has one connection, so that its first answer tells whose requests it sends.
    callers = [Load(service.port, 1) for _ in range(8)]

    def workers() -> list[str]:
        wait_until(lambda: all(each.outcomes for each in callers), 20, "under load", service.log)
        return [next(iter(each.outcomes))[1] for each in callers]

    while len(set(asked := workers())) < 2:
        assert len(callers) < 64, "one worker gets everybody"
        callers.append(Load(service.port, 1))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "hold")
        wait_until(lambda: len(set(service.children("gunicorn")) & before) == 2, 30, "one is replaced", service.log)
        with pytest.raises(requests.ConnectionError):
            held.result()
    wait_until(lambda: len({service.score("x").json() for _ in range(20)}) == 2, 30, "both answer", service.log)
    (stuck,) = before - set(service.children("gunicorn"))
    for caller, worker in zip(callers, asked, strict=True):
        lost = sum(count for outcome, count in caller.end().items() if isinstance(outcome, str))
        assert lost == (worker == str(stuck)), caller.outcomes
