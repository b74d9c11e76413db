"""Connections are spread evenly over the workers."""

import os
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests
from service import wait_until

SCRIPT = """
import os

def init():
    pass

def run(data):
    while data.startswith("/") and not os.path.exists(data):
        pass
    return os.getpid()
"""


@pytest.fixture
def service(start, tmp_path):
    (tmp_path / "score.py").write_text(SCRIPT)
    return start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=3).wait_ready()


def ask(service, data="x"):
    return requests.post(service.url + "/score", data=data, timeout=60).json()


def test_each_worker_has_as_many_and_a_new_one_gets_the_next(service):
    def workers_of(sessions):
        return Counter(each.post(service.url + "/score", data="x", timeout=10).json() for each in sessions)

    def who_accept():
        with ExitStack() as stack:
            return workers_of([stack.enter_context(requests.Session()) for _ in range(9)]).keys()

    with ExitStack() as stack:
        wait_until(lambda: len(who_accept()) == 3, 30, "each worker accepts connections")
        first = [stack.enter_context(requests.Session()) for _ in range(30)]
        spread = workers_of(first)
        assert workers_of(first) == spread
        assert max(spread.values()) - min(spread.values()) <= 4

        os.kill(victim := max(spread), signal.SIGKILL)
        wait_until(lambda: who_accept() - spread.keys(), 30, "the new worker accepts connections")
        second = [stack.enter_context(requests.Session()) for _ in range(spread[victim])]
        (new,) = workers_of(second).keys() - spread.keys()
        assert workers_of(second)[new] >= 0.7 * len(second)


def test_of_many_that_come_at_once_each_worker_takes_its_share(service):
    wait_until(lambda: len({ask(service) for _ in range(9)}) == 3, 30, "each worker accepts connections")
    address = service.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        many = [stack.enter_context(socket.socket()) for _ in range(60)]
        for each in many:
            each.setblocking(False)
            each.connect_ex((address[0], int(address[1])))
        answers = Counter()
        for each in many:
            each.setblocking(True)
            each.settimeout(10)
            each.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            answers[each.recv(65536).partition(b"\r\n\r\n")[2]] += 1
    assert (len(answers), sum(answers.values())) == (3, 60)
    assert max(answers.values()) - min(answers.values()) <= 4


def test_nobody_waits_for_a_worker_that_computes(service, tmp_path):
    done = tmp_path / "done"
    wait_until(lambda: len({ask(service) for _ in range(9)}) == 3, 30, "each worker accepts connections")
    with ThreadPoolExecutor() as threads, ExitStack() as stack:
        stack.callback(done.touch)
        busy = threads.submit(ask, service, str(done))
        wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 10, "one computes")
        sessions = [stack.enter_context(requests.Session()) for _ in range(12)]
        others = {each.post(service.url + "/score", data="x", timeout=10).json() for each in sessions}
        assert not busy.done()
        done.touch()
        assert busy.result() not in others
        assert len(others) == 2
