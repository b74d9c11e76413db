"""Runs the contract's rules against their server and ours, and prints what each does."""

from collections.abc import Iterator
from typing import Any

import pytest
from reference import Ours, Servers, Theirs, install_reference
from rules import GROUPS

Verdicts = dict[str, dict[str, list[str]]]


def contract_item(item: pytest.Item) -> bool:
    return "case" in getattr(item, "fixturenames", ()) and "server" in item.callspec.params


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    plan = list(dict.fromkeys(item.callspec.params["server"] for item in request.session.items if contract_item(item)))
    if any(kind == "theirs" for kind, _ in plan):
        install_reference()
    started = Servers(tmp_path_factory.mktemp("contract"), plan)
    yield started
    started.stop()


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Servers) -> Ours | Theirs:
    """A server of one kind with one scenario, the same one for all of its cases."""
    return servers.running(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if contract_item(item):
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
            terminalreporter.write_line(f"\n{'theirs':10} {'ours':8} {group.title}")
        for rule in rules:
            told = verdicts[rule.text]
            theirs, ours = verdict(told.get("theirs"), rule.theirs), verdict(told.get("ours"), "")
            terminalreporter.write_line(f"  {theirs[0]:8} {ours[0]:8} {rule.text}")
            for kind, (_, what) in (("theirs", theirs), ("ours", ours)):
                if what:
                    terminalreporter.write_line(f"{'':20} {kind}: {what}")


def verdict(faults: list[str] | None, known: str) -> tuple[str, str]:
    """ok, differs (as is known of theirs, and checked) or FAILS, and what differs."""
    if faults is None:
        return "not run", ""
    if any(faults):
        return "FAILS", " | ".join(filter(None, faults))
    return ("differs", known) if known else ("ok", "")
