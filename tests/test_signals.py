"""Signals that a script handles: its alarm is its request's, and it cannot keep the worker from ending."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from service import wait_until

SCRIPT = """
import os
import signal
import threading
import time

class Late(Exception):
    pass

def init():
    def default(number, frame):
        raise Late("init's")
    signal.signal(signal.SIGALRM, default)
    signal.alarm(1)
    try:
        while True:
            pass
    except Late:
        signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        time.sleep(30)
    except Late:
        return

def run(data):
    what, _, which = data.partition(" ")
    return globals()[what](which)

def limited(how, seconds=0.3):
    # As timeout-decorator has it.
    def handler(number, frame):
        raise Late(how)
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        globals()[how]("30")
    except Late as late:
        return ["late", str(late)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

def brief(how):
    return limited(how, 0.3), signal.getitimer(signal.ITIMER_REAL)

def sleep(seconds):
    time.sleep(float(seconds))
    return "slept"

def compute(seconds):
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        pass

def of_init(_):
    signal.alarm(1)
    time.sleep(30)

def without(_):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(1)
    time.sleep(30)

def left(_):
    signal.alarm(1)

def ticks(_):
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(len(seen)))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    while len(seen) < 3:
        pass
    time.sleep(0.3)
    return len(seen) > 6

def pid(_):
    return os.getpid()
"""


@pytest.fixture(scope="module")
def service(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("signals")
    (root / "score.py").write_text(SCRIPT)
    return start_module(APP_ROOT=root, TRITON="off").wait_ready()


@pytest.fixture(autouse=True)
def worker_lives(service):
    before = service.score("pid").json()
    yield
    assert service.score("pid").json() == before


@pytest.mark.parametrize("how", ["compute", "sleep"])
def test_a_script_limits_its_own_time(service, how):
    assert service.score(f"limited {how}").json() == ["late", how]
    assert service.score(f"brief {how}").json() == [["late", how], [0.0, 0.0]]


def test_an_alarm_reaches_its_own_request_only(service):
    bodies = ["limited sleep", "sleep 1", "limited compute", "sleep 1"] * 3
    with ThreadPoolExecutor(len(bodies)) as pool:
        replies = [each.json() for each in pool.map(service.score, bodies)]
    assert replies == [["late", "sleep"], "slept", ["late", "compute"], "slept"] * 3


def test_what_init_sets_is_every_request_s_handler(service):
    assert service.score("of_init").status_code == 500
    service.wait_log("Late: init's")


def test_an_alarm_without_a_handler_fails_its_request(service):
    assert service.score("without").status_code == 500
    service.wait_log("The script's alarm went off, and it has no handler.")


def test_an_alarm_goes_with_its_request(service):
    assert service.score("left").ok
    assert service.score("sleep 1.5").json() == "slept"


def test_an_alarm_in_intervals(service):
    assert service.score("ticks").json() is True


def test_deadlines_stay_in_force(service):
    for body in ("limited compute", "compute 20", "limited sleep", "sleep 20"):
        reply = service.score(body, headers={"x-request-timeout-ms": "600"})
        assert reply.status_code == (200 if body.startswith("limited") else 504)


ENDING = """
import os
import signal
import time

def end(number, frame):
    with open("ended", "a") as file:
        file.write(f"{os.getpid()}\\n")
    BEHAVIOUR

for each in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
    signal.signal(each, end)

def init():
    signal.signal(signal.SIGTERM, end)
    assert signal.getsignal(signal.SIGTERM) is end

def run(data):
    signal.signal(signal.SIGTERM, end)
    return os.getpid()
"""


@pytest.mark.parametrize("behaviour", ["raise ValueError", "while True: pass"])
def test_a_script_s_sigterm_handler_runs_when_the_worker_ends_and_stops_neither_reload_nor_stop(
    start, tmp_path, behaviour
):
    (tmp_path / "score.py").write_text(ENDING.replace("BEHAVIOUR", behaviour))
    service = start(APP_ROOT=tmp_path, TRITON="off").wait_ready()
    old = service.score("x").json()
    master = next(pid for pid in service.children("gunicorn") if pid != old)
    os.kill(master, signal.SIGHUP)
    wait_until(lambda: old not in service.children("gunicorn"), 20, "the old worker has ended", service.log)
    new = service.score("x").json()
    assert service.stop(20) == 0
    assert (tmp_path / "ended").read_text().split() == [str(old), str(new)]
