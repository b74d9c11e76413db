"""examples/client: the smoke command, the Python client and the curl commands, against the real service."""

import importlib.util
import re
import subprocess
import sys
import threading

import pytest
import requests
from service import ROOT, SCENARIOS, wait_until

CLIENT = ROOT / "examples" / "client"
REQUEST = {"data": [[0.0] * 64]}

spec = importlib.util.spec_from_file_location("client", CLIENT / "client.py")
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)

SLEEPER = """
import time

def init():
    time.sleep({init_s})

def run(data):
    time.sleep(float(data))
    return data
"""


@pytest.fixture
def sleeper(start, tmp_path):
    """A service whose init() takes so long, and whose run() sleeps for as long as the body says."""

    def begin(init_s=0, **env):
        (tmp_path / "score.py").write_text(SLEEPER.format(init_s=init_s))
        return start(APP_ROOT=tmp_path, TRITON="off", **env)

    return begin


@pytest.fixture(scope="module")
def locked(start_module):
    return start_module(AUTH_KEYS="first,second").wait_ready()


def smoke(*arguments):
    """Exit code, and the lines without what follows the colon."""
    command = [sys.executable, CLIENT / "smoke.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.stderr == ""
    return done.returncode, [line.split(":")[0] for line in done.stdout.splitlines()], done.stdout


ALL_GOOD = ["ok   live", "ok   ready", "ok   API document", "ok   scored", "ok   request id echoed"]


def test_make_smoke_asks_a_running_service(service):
    command = ["make", "--no-print-directory", "smoke", f"URL={service.url}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert (done.returncode, [line.split(":")[0] for line in done.stdout.splitlines()]) == (0, ALL_GOOD), done
    assert '{"digit": [2], ' in done.stdout


def test_smoke_waits_until_it_is_ready(sleeper, tmp_path):
    (tmp_path / "request").write_text("0")
    service = sleeper(init_s=2)  # not even listening yet
    assert smoke(service.url, "--request", tmp_path / "request")[:2] == (0, ALL_GOOD)


def test_smoke_checks_that_the_key_is_needed(locked):
    code, lines, _ = smoke(locked.url, "--key", "second")
    assert (code, lines) == (0, [*ALL_GOOD[:4], "ok   refused without a key", ALL_GOOD[4]])


def test_smoke_fails_without_the_key_it_needs(locked):
    code, lines, told = smoke(locked.url)
    assert (code, "FAIL scored" in lines, "401" in told) == (1, True, True)


def test_smoke_fails_when_a_key_is_given_and_none_is_needed(service):
    code, lines, _ = smoke(service.url, "--key", "any")
    assert (code, [line for line in lines if line.startswith("FAIL")]) == (1, ["FAIL refused without a key"])


def test_smoke_fails_where_nobody_listens():
    code, lines, _ = smoke("http://127.0.0.1:9", "--wait", 0)
    assert (code, {line[:4] for line in lines}, len(lines)) == (1, {"FAIL"}, 5)


def test_the_client_scores_with_a_key_on_one_connection(locked):
    service = client.Client(locked.url, key="first")
    assert [service.score(REQUEST)["digit"] for _ in range(3)] == [service.score(REQUEST)["digit"]] * 3
    (pool,) = service.session.get_adapter(locked.url).poolmanager.pools._container.values()
    assert (pool.num_connections, pool.num_requests) == (1, 4)


def test_a_failure_has_status_code_and_the_id_that_is_in_the_log(locked):
    with pytest.raises(client.Failed) as raised:
        client.Client(locked.url, key="third").score(REQUEST)
    failed = raised.value
    assert (failed.status, failed.code, failed.request_id in str(failed)) == (401, "unauthorized", True)
    locked.wait_log(failed.request_id)


def test_the_client_waits_and_tries_again_at_429(sleeper):
    service = sleeper(MAX_IN_FLIGHT=1).wait_ready()
    first = threading.Thread(target=client.Client(service.url).score, args=(b"3",))
    first.start()
    wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 10, "the first is inside", service.log)
    assert client.Client(service.url).score(b"0") == "0"
    first.join()
    assert service.metric('scoregate_requests_total{route="/score",status="429"}') >= 1


def test_the_client_does_not_wait_longer_than_its_caller(sleeper):
    service = sleeper(MAX_IN_FLIGHT=1).wait_ready()
    first = threading.Thread(target=client.Client(service.url).score, args=(b"4",))
    first.start()
    wait_until(lambda: service.metric("scoregate_requests_in_flight") == 1, 10, "the first is inside", service.log)
    with pytest.raises(client.Failed) as raised:
        client.Client(service.url, timeout_s=1.5).score(b"0")
    assert (raised.value.status, raised.value.code) == (429, "too_many_requests")
    first.join()


def test_the_client_waits_and_tries_again_at_503(sleeper):
    service = sleeper(init_s=3)
    wait_until(lambda: requests.get(service.url + "/health/live", timeout=5).ok, 60, "live", service.log)
    assert requests.get(service.url + "/", timeout=5).status_code == 503
    assert client.Client(service.url).score(b"0") == "0"
    assert service.metric('scoregate_requests_total{route="/score",status="503"}') >= 1


def test_the_service_stops_when_the_clients_time_is_over(sleeper):
    service = sleeper().wait_ready()
    with pytest.raises(client.Failed) as raised:
        client.Client(service.url, timeout_s=0.5).score(b"30")
    assert (raised.value.status, raised.value.code) == (504, "deadline_exceeded")


def test_bytes_come_back_as_bytes(start):
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off").wait_ready()
    assert client.Client(service.url).score(b"bytes") == b"\x00\xff"


COMMANDS = re.findall(r"^curl (?:.*\\\n)*.*", (CLIENT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_the_readmes_curl_commands_succeed(locked, command):
    command = command.replace("http://localhost:5001", locked.url)
    env = {"PATH": "/usr/bin:/bin", "KEY": "first"}
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "request_id" in done.stdout) == (0, False), done
