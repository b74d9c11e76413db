"""Runs the contract's rules against their server and ours, and prints what each does."""

from collections.abc import Iterator
from typing import Any

import pytest
from reference import Ours, Servers, Theirs, install_reference
from rules import GROUPS

Verdicts = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    keys = [item.callspec.params["server"] for item in request.session.items if "case" in getattr(item, "fixturenames", ())]
    if any(kind == "theirs" for kind, _ in keys):
        install_reference()
    started = Servers(tmp_path_factory.mktemp("contract"), list(dict.fromkeys(keys)))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Ours | Theirs]:
    """A server of one kind with one scenario."""
    with servers.running(request.param) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "case" in getattr(item, "fixturenames", ()) and "server" in item.callspec.params:
            kind, _ = item.callspec.params["server"]
            rule = item.callspec.params["rule"]
            item.user_properties.append(("contract", (rule.text, item.callspec.params["case"].what, kind)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table: row, theirs, ours."""
    verdicts: Verdicts = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            told = dict(getattr(report, "user_properties", ()))
            if "contract" in told and (outcome != "passed" or report.when == "call"):
                text, what, kind = told["contract"]
                fault = "" if outcome == "passed" else f"{what}: {told.get('difference', 'no answer, see above')}"
                verdicts.setdefault(text, {}).setdefault(kind, []).append(fault)
    if not verdicts:
        return
    terminalreporter.section("the scoring contract: row, theirs, ours")
    for group in GROUPS:
        rules = [rule for rule in group.rules if rule.text in verdicts]
        if rules:
            terminalreporter.write_line(f"\n{group.title}")
        for rule in rules:
            theirs, ours = (verdict(verdicts[rule.text].get(kind), kind, rule.theirs) for kind in ("theirs", "ours"))
            terminalreporter.write_line(f"  {rule.text}\n      theirs: {theirs}\n      ours:   {ours}")


def verdict(faults: list[str] | None, kind: str, theirs: str) -> str:
    if faults is None:
        return "not run"
    if any(faults):
        return "DIFFERS: " + " | ".join(filter(None, faults))
    return f"differs: {theirs}" if theirs and kind == "theirs" else "ok"
