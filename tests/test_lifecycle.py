"""Starting, ready, draining, stopped; and a reload in between. With real load and real signals."""

import json
import os
import signal
import subprocess
import time

import pytest
import requests
from load import Load
from service import ROOT, Service, wait_until

ECHO = "import os, time\ndef init(): pass\ndef run(data): return {answer}\n"
ASK_TRITON = """
import time
import numpy as np
from scoregate import TritonModel

def init():
    global digits
    digits = TritonModel("digits")

def run(data):
    digits(image=np.zeros((1, 64), np.float32))
    return {answer}
"""
with_and_without_triton = pytest.mark.parametrize(
    ("triton", "template"), [pytest.param("off", ECHO, id="alone"), pytest.param("on", ASK_TRITON, id="with Triton")]
)


@pytest.fixture
def script(tmp_path):
    """Write tmp_path/score.py with a run() that returns this expression."""

    def write(answer: str, template: str = ECHO) -> None:
        (tmp_path / "new").write_text(template.format(answer=answer))
        (tmp_path / "new").rename(tmp_path / "score.py")

    return write


def reason(service: Service) -> str:
    reply = requests.get(service.url + "/health/ready", timeout=5)
    return "" if reply.status_code == 200 else reply.json()["message"]


@with_and_without_triton
def test_sigterm_drains_then_finishes_and_loses_nothing(start, tmp_path, script, triton, template):
    script("time.sleep(0.05) or data", template)
    service = start(APP_ROOT=tmp_path, TRITON=triton, WORKER_COUNT=2, DRAIN_SECONDS=2).wait_ready()
    load = Load(service.port, 64)
    wait_until(lambda: sum(load.outcomes.values()) > 500, 20, "under load", service.log)
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: reason(service) == "The service is stopping. Send requests to another one.", 5, "503")
    at = sum(load.outcomes.values())
    wait_until(lambda: sum(load.outcomes.values()) > at + 200, 5, "requests are still answered")
    assert service.process.wait(15) == 0
    assert load.end().keys() == {(200, '"x"')}


def test_while_it_drains_callers_are_sent_elsewhere_and_the_work_in_flight_is_finished(start, tmp_path, script):
    script("time.sleep(float(data)) or data")
    service = start(APP_ROOT=tmp_path, TRITON="off", DRAIN_SECONDS=3).wait_ready()
    assert service.score("0").headers["Connection"] == "keep-alive"
    slow = Load(service.port, 1, "6")
    wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 5, "under way")
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: service.score("0").headers["Connection"] == "close", 5, "sent elsewhere")
    wait_until(lambda: refused(service), 10, "the listener is closed")
    assert service.process.poll() is None
    assert service.process.wait(15) == 0
    assert slow.end() == {(200, '"6"'): 1}


def refused(service: Service) -> bool:
    try:
        requests.get(service.url + "/health/live", timeout=10)
    except requests.ConnectionError:
        return True
    return False


def test_a_triton_with_idle_connections_does_not_hold_up_the_end(start):
    service = start().wait_ready()
    request = json.loads((ROOT / "examples/digits/request.json").read_text())
    assert service.score(request).ok
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) == 0  # Triton waits 30 s for a connection that somebody keeps


def test_a_second_signal_does_not_wait_for_the_drain_nor_a_third_for_requests(start, tmp_path, script):
    script("time.sleep(float(data)) or data")
    service = start(APP_ROOT=tmp_path, TRITON="off", DRAIN_SECONDS=600).wait_ready()
    load = Load(service.port, 1, "300")
    wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 5, "under way")
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in reason(service), 5, "draining")
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: refused(service), 10, "the listener is closed")
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(15)
    assert load.end().keys() == {"RemoteDisconnected"}


@pytest.mark.parametrize("pause_s", [0, 0.01, 0.03, 0.1])
def test_a_worker_that_is_just_starting_is_told_to_stop_too(start, tmp_path, script, pause_s):
    """Until it has a handler of its own, a signal ends up in its copy of the master's."""
    script("1")
    service = start(APP_ROOT=tmp_path, TRITON="off").wait_ready()
    before = set(service.children("gunicorn"))
    os.kill(max(before), signal.SIGKILL)
    wait_until(lambda: set(service.children("gunicorn")) - before, 10, "replaced", service.log)
    time.sleep(pause_s)  # not to wait for something, but to meet the worker at another moment of its start
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0


@with_and_without_triton
def test_sighup_loads_a_new_script_under_load_and_loses_nothing(start, tmp_path, script, triton, template):
    script("1", template)
    service = start(APP_ROOT=tmp_path, TRITON=triton, WORKER_COUNT=2).wait_ready()
    load = Load(service.port, 64)
    wait_until(lambda: load.outcomes[200, "1"] > 500, 20, "under load", service.log)
    script("time.sleep(0.01) or 2", template)
    os.kill(gunicorn(service), signal.SIGHUP)
    wait_until(lambda: load.outcomes[200, "2"] > 500, 20, "the new script answers", service.log)
    wait_until(lambda: len(service.children("gunicorn")) == 3, 20, "the old workers have gone", service.log)
    assert load.end().keys() == {(200, "1"), (200, "2")}
    assert {service.score("x").json() for _ in range(20)} == {2}
    assert service.metric("scoregate_worker_restarts_total") == 0
    assert service.stop() == 0
    assert "Exception ignored" not in service.log.read_text()


def gunicorn(service: Service) -> int:
    """The pid of Gunicorn's master, whose workers come after it."""
    return min(service.children("gunicorn"))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param("import no_such", "the script cannot be loaded: ModuleNotFoundError", id="import"),
        pytest.param("def init(): return 1 / 0", "init() raised: ZeroDivisionError", id="init raises"),
    ],
)
def test_a_new_script_that_cannot_serve_is_told_and_the_old_one_goes_on(start, tmp_path, script, fault, told):
    script("1")
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2).wait_ready()
    workers = set(service.children("gunicorn"))
    load = Load(service.port, 8)
    script(f"1\n{fault}")
    os.kill(gunicorn(service), signal.SIGHUP)
    service.wait_log(f"line 4: {told}")
    service.wait_log("the workers go on with the one that they have")
    wait_until(lambda: set(service.children("gunicorn")) == workers, 20, "only the old workers", service.log)
    script("2")
    subprocess.run(["make", "reload"], cwd=ROOT, env=os.environ | {"PORT": str(service.port)}, check=True)
    wait_until(lambda: load.outcomes[200, "2"] > 100, 20, "the script that was mended answers", service.log)
    assert load.end().keys() == {(200, "1"), (200, "2")}


def test_of_many_reloads_one_is_made_at_a_time_and_the_newest_script_serves(start, tmp_path, script):
    slow = ECHO.replace("pass", "time.sleep(2)")
    script("0", slow)
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2).wait_ready()
    load = Load(service.port, 8)
    for number in range(1, 13):
        script(str(number), slow)
        os.kill(gunicorn(service), signal.SIGHUP)
        time.sleep(0.2)  # not to wait for something: somebody saves the script again and again
        assert len(service.children("gunicorn")) <= 1 + 2 * 2

    def newest_serves_alone() -> bool:
        """Of the generation before, one worker may have loaded the script just before, one just after it changed."""
        return {service.score("x").json() for _ in range(20)} == {12} and len(service.children("gunicorn")) == 3

    wait_until(newest_serves_alone, 40, "the newest script alone answers", service.log)
    assert {status for status, _ in load.end()} == {200}


def test_a_broken_script_that_comes_amid_a_reload_loses_no_worker(start, tmp_path, script):
    """It comes when one of the new workers can score and the other cannot yet."""
    script("1")
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2).wait_ready()
    load = Load(service.port, 8)
    began = tmp_path / "began"
    began.touch()
    script(
        "2",
        ECHO.replace(
            "pass",
            f"""
    with open({str(began)!r}, "a+") as file:
        file.write("x")
        file.flush()
        file.seek(0)
        count = len(file.read())
    time.sleep(0 if count == 1 else 5)
""",
        ),
    )
    os.kill(gunicorn(service), signal.SIGHUP)
    wait_until(lambda: began.read_text() == "xx", 20, "both have loaded the script", service.log)
    script("3\nimport no_such")
    os.kill(gunicorn(service), signal.SIGHUP)
    given_up = "the workers go on with the one that they have"
    wait_until(lambda: given_up in service.log.read_text(), 30, given_up, service.log)
    wait_until(lambda: len(service.children("gunicorn")) == 3, 20, "two workers", service.log)
    assert {service.score("x").json() for _ in range(20)} == {2}
    assert load.end().keys() == {(200, "1"), (200, "2")}


def test_readiness_waits_for_all_workers_and_a_new_one_takes_no_requests_before_it_can_score(start, tmp_path):
    gate = tmp_path / "gate"
    (tmp_path / "score.py").write_text(
        "import os, time\n"
        f"def init():\n    while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n    os.unlink({str(gate)!r})\n"
        "def run(data): return os.getpid()\n"
    )
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2)
    wait_until(lambda: refused(service) is False, 30, "live", service.log)
    gate.touch()
    wait_until(
        lambda: reason(service) == "The service is starting: 1 of 2 workers can score. Try again shortly.", 10, "1"
    )
    gate.touch()
    service.wait_ready()

    def pids() -> set[int]:
        return {service.score("x").json() for _ in range(40)}

    wait_until(lambda: len(pids()) == 2, 20, "both answer", service.log)
    os.kill(victim := pids().pop(), signal.SIGKILL)
    wait_until(lambda: len(service.children("gunicorn")) == 3, 20, "it is replaced", service.log)
    assert len(pids() - {victim}) == 1
    assert reason(service) == ""
    gate.touch()
    wait_until(lambda: len(pids()) == 2, 20, "the new one answers, too", service.log)


def test_a_repository_without_models_is_not_ready_unless_asked_for(start, tmp_path):
    (tmp_path / "triton").mkdir()
    (tmp_path / "score.py").write_text(ECHO.format(answer="data"))
    service = start(APP_ROOT=tmp_path, MODEL_DIR=tmp_path, ALLOW_NO_MODELS="on").wait_ready()
    assert service.score("x").json() == "x"
