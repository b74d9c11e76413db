"""A stop reaches everybody, and ends in time."""

import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from service import Service, descendants, wait_until

SCRIPT = "import os, time\ndef init(): pass\ndef run(data): return time.sleep(float(data)) or os.getpid()\n"
BODY = {
    "Content-Length": (b"Content-Length: 1000", b"1"),
    "chunked": (b"Transfer-Encoding: chunked", b"1\r\n1\r\n"),
}


@pytest.fixture
def script(tmp_path):
    (tmp_path / "score.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_first_moments_is_not_lost(start, script, number):
    """Above all not while a program is being started: it would end up in the child's copy of supervisord's handler."""
    service = start(APP_ROOT=script, TRITON="off")
    wait_until(lambda: blocks(service.process.pid, number), 10, "it has begun")
    service.process.send_signal(number)
    assert service.process.wait(20) == 0
    assert service.log.read_text() == ""
    for pause_s in (0.0, 0.0, 0.0, 0.005, 0.02):
        service = start(APP_ROOT=script, TRITON="off")
        while not descendants(service.process.pid):
            assert service.process.poll() is None
        time.sleep(pause_s)  # not to wait for something, but to meet the child at another moment of its start
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
        assert "Traceback" not in service.log.read_text()


def blocks(pid: int, number: signal.Signals) -> bool:
    (mask,) = re.findall(r"^SigBlk:\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(mask, 16) & 1 << number - 1)


def gunicorn(service: Service) -> list[int]:
    """The pids of Gunicorn's master and, after that, its workers."""
    return sorted(service.children("gunicorn"))


def test_a_worker_that_ends_while_the_service_drains_takes_no_connections_away(start, script):
    service = start(APP_ROOT=script, TRITON="off", WORKER_COUNT=2, DRAIN_SECONDS=600).wait_ready()
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.score("0").headers["Connection"] == "close", 5, "draining")
    _, victim, _ = gunicorn(service)
    os.kill(victim, signal.SIGTERM)
    wait_until(lambda: victim not in gunicorn(service), 10, "one worker has ended", service.log)
    for _ in range(20):
        assert requests.post(service.url + "/score", data="0", timeout=5).ok
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0


def test_a_master_and_a_worker_that_somebody_has_stopped_do_not_hold_up_the_end(start, script):
    service = start(APP_ROOT=script, TRITON="off", WORKER_COUNT=2).wait_ready()
    master, worker, _ = gunicorn(service)
    for pid in (worker, master):
        os.kill(pid, signal.SIGSTOP)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0


def test_a_slow_body_comes_through_a_reload(start, script):
    service = start(APP_ROOT=script, TRITON="off").wait_ready()
    master, old = gunicorn(service)
    with socket.create_connection(("127.0.0.1", service.port)) as caller:
        caller.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n0")
        os.kill(master, signal.SIGHUP)
        wait_until(lambda: int(service.score("0").text) != old, 20, "reloaded", service.log)
        for piece in b".00000000000":
            time.sleep(0.7)  # not to wait for something: so slow is the caller, for longer than a stop would wait
            caller.sendall(bytes([piece]))
        assert caller.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    wait_until(lambda: old not in gunicorn(service), 20, "the old worker has ended", service.log)


def test_bodies_that_drip_do_not_hold_up_the_end_but_a_request_in_flight_does(start, script):
    service = start(APP_ROOT=script, TRITON="off").wait_ready()
    ended = threading.Event()
    answer: list[requests.Response] = []
    slow = threading.Thread(target=lambda: answer.append(requests.post(service.url + "/score", "12", timeout=60)))

    def drip(caller: socket.socket, piece: bytes) -> None:
        while not ended.wait(1):
            try:
                caller.sendall(piece)
            except OSError:
                return

    callers = [socket.create_connection(("127.0.0.1", service.port)) for _ in BODY]
    try:
        for caller, (header, piece) in zip(callers, BODY.values(), strict=True):
            caller.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n" + piece)
            threading.Thread(target=drip, args=(caller, piece)).start()
        slow.start()
        wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 5, "under way")
        service.process.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.settimeout(10)
            assert b" 400 " in caller.recv(65536)
        assert service.process.poll() is None
        assert service.process.wait(40) == 0
    finally:
        ended.set()
        for caller in callers:
            caller.close()
    slow.join()
    assert answer[0].ok


def test_a_request_that_nobody_may_wait_for_any_more_does_not_hold_up_the_end(start, tmp_path):
    """It computes where Python cannot interrupt it, beyond its deadline."""
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return sum(range(10**12))\n")
    service = start(APP_ROOT=tmp_path, TRITON="off", SCORING_TIMEOUT_MS=1000).wait_ready()

    def ask() -> None:
        with pytest.raises(requests.ConnectionError):
            service.score("x")

    asked = threading.Thread(target=ask)
    asked.start()
    wait_until(lambda: not answers(service), 10, "it computes")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(40) == 0
    asked.join()


def answers(service: Service) -> bool:
    try:
        return requests.get(service.url + "/health/live", timeout=0.5).ok
    except requests.Timeout:
        return False


def test_a_model_that_hangs_does_not_hold_up_the_end(start, tmp_path):
    (tmp_path / "triton" / "stuck" / "1").mkdir(parents=True)
    (tmp_path / "triton" / "stuck" / "1" / "model.py").write_text(
        "import time\nclass TritonPythonModel:\n    def execute(self, requests): time.sleep(600)\n"
    )
    (tmp_path / "triton" / "stuck" / "config.pbtxt").write_text(
        'backend: "python"\ninput [{ name: "x", data_type: TYPE_FP32, dims: [1] }]\n'
        'output [{ name: "y", data_type: TYPE_FP32, dims: [1] }]\n'
    )
    (tmp_path / "score.py").write_text(
        "from scoregate import TritonModel\ndef init(): pass\ndef run(data): return TritonModel('stuck')(x=[1.0])\n"
    )
    service = start(APP_ROOT=tmp_path, MODEL_DIR=tmp_path, SCORING_TIMEOUT_MS=1000).wait_ready()
    assert service.score("x").json()["code"] == "scoring_timeout"
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
