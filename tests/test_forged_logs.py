"""What a caller sends appears in the log, and cannot pass for what the service says."""

import re

import pytest
import requests
from service import SCENARIOS

RECORD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} [A-Z]+ \[\d+\] \[([^\[\]]*)\] \S+: (.*)")
FORGED = "2026-01-01T00:00:00.000 INFO [1] [-] scoregate: FORGED"
NASTY = f"x\n{FORGED}\r{FORGED}\x1b[31m\x9b31m\u2028{FORGED}\u202e\ud800"
ESCAPED = f"x\\n{FORGED}\\r{FORGED}\\x1b[31m\\x9b31m\\u2028{FORGED}\\u202e"


@pytest.fixture(scope="module")
def raises(start_module):
    return start_module(APP_ROOT=SCENARIOS / "raises", TRITON="off").wait_ready()


def records(service, last):
    """The log's records, checked: each line is one, or an indented part of one, and nothing in it is obeyed."""
    log = service.wait_log(last)
    lines = log.split("\n")[:-1]
    assert [line for line in lines if not (RECORD.fullmatch(line) or line.startswith("  "))] == []
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", log) == []
    return lines


def test_a_path_is_escaped(raises):
    requests.get(raises.url + "/x%0aFORGED%1b[31m", timeout=5)
    lines = records(raises, "There is no /x")
    assert any(r"404 not_found: There is no /x\nFORGED\x1b[31m. Send" in line for line in lines)


def test_a_version_is_escaped(raises):
    requests.get(raises.url + "/swagger.json", params={"version": NASTY.replace("\ud800", "")}, timeout=5)
    lines = records(raises, "Swagger version [x")
    assert any(f"no_such_swagger_version: Swagger version [{ESCAPED}] is not valid" in line for line in lines)


def test_a_header_is_escaped(raises):
    reply = raises.score("pid", headers={"x-request-timeout-ms": "5\x85\x9b31m"})
    assert reply.status_code == 400
    records(raises, "x-request-timeout-ms='5")


def test_an_id_stays_within_its_brackets_and_is_echoed_as_it_came(raises):
    sent = "a] scoregate: FORGED ["
    reply = raises.score("run ValueError", headers={"x-request-id": sent})
    assert (reply.headers["x-request-id"], reply.json()["request_id"]) == (sent, sent)
    lines = records(raises, "[a\\x5d scoregate: FORGED \\x5b] scoregate: An unexpected error occurred")
    assert not [line for line in lines if (found := RECORD.match(line)) and found[2].startswith("FORGED")]


@pytest.mark.parametrize("is_raised", [True, False])
def test_what_a_script_raises_or_logs_keeps_its_lines_and_forges_none(raises, is_raised):
    name = f"find-{is_raised}"
    raises.score({"raise": is_raised, "text": f"{name}\n{NASTY}"})
    lines = records(raises, name)
    start = next(number for number, line in enumerate(lines) if name in line)
    assert lines[start + 1 : start + 3] == [
        "  x",
        f"  {FORGED}\\r{FORGED}\\x1b[31m\\x9b31m\\u2028{FORGED}\\u202e\\ud800",
    ]
