"""Connections are spread evenly over the workers."""

import os
import signal
from collections import Counter
from contextlib import ExitStack

import pytest
import requests
from service import wait_until

SCRIPT = "import os\n\ndef init():\n    pass\n\ndef run(data):\n    return os.getpid()\n"


@pytest.fixture
def service(start, tmp_path):
    (tmp_path / "score.py").write_text(SCRIPT)
    return start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=3).wait_ready()


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
