"""Who may come in: keys."""

import http.client
import os
import signal
from contextlib import closing

import pytest
import requests
from service import ROOT, SCENARIOS, wait_until

REQUEST = (ROOT / "examples" / "digits" / "request.json").read_bytes()


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def locked(start_module, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("# key of team A\nkey-of-team-A\r\n\n  key-of-team-B  \n#key-of-nobody\nkey#of-team-C")
    env = {"AUTH_KEYS": "first, second", "AUTH_KEYS_FILE": file, "AUTH_METRICS": "on", "AUTH_API_DOCUMENT": "on"}
    return start_module(APP_ROOT=SCENARIOS / "answers", TRITON="off", **env).wait_ready()


@pytest.mark.parametrize("key", ["first", "second", "key-of-team-A", "key-of-team-B", "key#of-team-C"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_either_key_opens(locked, key, scheme):
    assert locked.score("dict", headers={"Authorization": f"{scheme} {key}"}).json() == {"a": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("firs"),
        bearer("first, second"),
        bearer("of"),
        bearer("#"),
        bearer("#key-of-nobody"),
        bearer("# key of team A"),
        bearer("Ünicode".encode().decode("latin-1")),
        {"Authorization": "Basic first"},
        {"Authorization": "first"},
        {"api-key": "first"},
    ],
)
@pytest.mark.parametrize("query", ["", "?x=1"], ids=["plain", "by Flask"])
def test_without_a_key_that_fits_it_is_401(locked, headers, query):
    reply = requests.post(locked.url + "/score" + query, data="dict", headers=headers, timeout=10)
    assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    told = reply.json()
    assert (told["code"], told["request_id"]) == ("unauthorized", reply.headers["x-request-id"])
    assert reply.headers["x-ms-run-function-failed"] == "False"


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD", "PUT"])
def test_no_method_goes_round_it(locked, method):
    assert requests.request(method, locked.url + "/score", timeout=10).status_code in (401, 405)


@pytest.mark.parametrize("path", ["//score", "///score", "/%2Fscore", "/%73core", "//metrics", "//swagger.json"])
def test_no_other_spelling_of_a_path_goes_round_it(locked, path):
    address = locked.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=10)) as caller:  # requests would tidy the path up
        caller.request("POST" if path.endswith("score") else "GET", path, body=b"dict")
        assert caller.getresponse().status == 401


@pytest.mark.parametrize("path", ["/metrics", "/swagger.json"])
def test_metrics_and_the_api_document_have_switches_of_their_own(locked, path):
    assert requests.get(locked.url + path, timeout=10).status_code == 401
    assert requests.get(locked.url + path, headers=bearer("second"), timeout=10).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready"])
def test_probes_stay_open(locked, path):
    assert requests.get(locked.url + path, timeout=10).status_code == 200


def test_a_large_body_without_a_key_is_answered_before_it_is_read(locked):
    reply = locked.score(b"x" * 5_000_000)
    assert (reply.status_code, reply.headers["Connection"]) == (401, "close")


def test_no_key_is_ever_logged(locked):
    locked.score("dict", headers=bearer("almost-the-first"))
    log = locked.wait_log("401 unauthorized")
    assert ("first" in log, "second" in log) == (False, False)


def test_short_keys_are_one_warning(locked):
    assert locked.wait_log("POST http").count("WARNING") == 1
    assert locked.log.read_text().count("A key has fewer than 16 characters") == 1


def test_a_changed_file_is_taken_up_without_restart(start, tmp_path):
    file = tmp_path / "keys"
    file.write_text("old-and-long-enough\n")
    env = {"APP_ROOT": SCENARIOS / "answers", "TRITON": "off", "AUTH_KEYS_FILE": file, "WORKER_COUNT": 2}
    service = start(**env).wait_ready()
    assert "fewer than 16" not in service.wait_log("POST http")

    def status(key):
        return service.score("dict", headers=bearer(key)).status_code

    def replace(text):  # as Kubernetes does with a mounted secret
        (tmp_path / "next").write_text(text)
        (tmp_path / "next").replace(file)

    def always(key, wanted):
        """Whether each worker answers so, in all likelihood."""
        return {status(key) for _ in range(12)} == {wanted}

    assert (status("old-and-long-enough"), status("new")) == (200, 401)
    replace("new\nold-and-long-enough\n")
    wait_until(lambda: always("new", 200), 10, "the new key opens", service.log)
    assert status("old-and-long-enough") == 200
    replace("new\n")
    wait_until(lambda: always("old-and-long-enough", 401), 10, "the old key does not", service.log)
    # A secret that is being replaced opens nothing and locks nobody out.
    for change, says in ((lambda: file.write_text(""), "holds no key"), (file.unlink, "cannot be read")):
        change()
        service.wait_log(says)
        assert always("old-and-long-enough", 401)
        assert (status("new"), status("")) == (200, 401)
    replace("correct horse battery\nanother\n")
    service.wait_log(f"ERROR [{service.children('scoregate.server.master')[0]}]")
    for key in ("correct", "horse", "battery", "correct horse battery", "another"):
        assert always(key, 401)
    # A worker that starts beside this file has the keys of the others.
    for worker in (workers := service.children("scoregate.server.master")[1:]):
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: service.metric("scoregate_worker_restarts_total") == 2, 30, "others", service.log)
    service.wait_ready()
    assert not set(workers) & set(service.children("scoregate.server.master"))
    assert always("new", 200)
    assert always("another", 401)
    assert service.stop() == 0
    log = service.log.read_text()
    (line,) = [line for line in log.splitlines() if " ERROR " in line and "AUTH_KEYS" in line]
    assert line.endswith(f"{file} is refused: line 1 is a key with a blank inside. The keys stay as they are.")
    assert "horse" not in log


@pytest.mark.parametrize(
    ("keys", "text", "message"),
    [
        (",", None, "AUTH_KEYS is not a list of keys with commas between them, each without a blank inside."),
        (" ", None, "AUTH_KEYS is not a list of keys"),
        ("first,sec ond", None, "AUTH_KEYS is not a list of keys"),
        ("", "good\ncorrect horse battery\n", "line 2 is a key with a blank inside. Write one key a line"),
        ("", " # no comment\n", "line 1 is a key with a blank inside"),
    ],
)
def test_keys_that_cannot_be_meant_so_stop_the_start(start, tmp_path, keys, text, message):
    file = tmp_path / "keys"
    file.write_text(text or "")
    env = {"AUTH_KEYS": keys} | ({"AUTH_KEYS_FILE": file} if text else {})
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off", **env)
    assert service.wait_end() == 3
    (line,) = service.log.read_text().splitlines()
    assert message in line
    assert not any(secret in line for secret in ("ond", "horse"))


def test_a_file_that_cannot_be_read_stops_the_start(start, tmp_path):
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off", AUTH_KEYS_FILE=tmp_path / "none")
    assert service.wait_end() == 3
    assert f"AUTH_KEYS_FILE='{tmp_path / 'none'}' is not a file that can be read." in service.log.read_text()


@pytest.mark.parametrize(("env", "warns"), [({}, True), ({"HOST": "127.0.0.1"}, False), ({"AUTH_KEYS": "a"}, False)])
def test_a_service_open_to_all_says_so(start, env, warns):
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off", **env).wait_ready()
    service.wait_log("curl -X POST")
    assert service.stop() == 0
    assert ("AUTH_KEYS is not set: whoever reaches port" in service.log.read_text()) == warns


def test_a_browser_may_ask_what_it_may_send_without_a_key(start):
    env = {"AUTH_KEYS": "a", "AML_CORS_ORIGINS": "https://page.example"}
    service = start(APP_ROOT=SCENARIOS / "answers", TRITON="off", **env).wait_ready()
    asks = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization"
    reply = requests.options(service.url + "/score", headers=asks, timeout=10)
    assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, "https://page.example")
    assert "authorization" in reply.headers["Access-Control-Allow-Headers"]
    sent = requests.post(service.url + "/score", "dict", headers={"Origin": "https://page.example"}, timeout=10)
    assert (sent.status_code, sent.headers["Access-Control-Allow-Origin"]) == (401, "https://page.example")
