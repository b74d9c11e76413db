"""The contract, rule by rule, on their server and on ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from contract import Case, Rule, difference
from reference import KINDS
from rules import GROUPS


def params() -> Iterator[Any]:
    """Each case on each server, those of one server with one scenario one after the other."""
    cases = [(rule, case) for group in GROUPS for rule in group.rules for case in rule.cases]
    for scenario in dict.fromkeys(case.scenario for _, case in cases):
        for kind in KINDS:
            for rule, case in cases:
                if case.scenario == scenario:
                    yield pytest.param((kind, scenario), rule, case, id=f"{kind}-{case.what}")


@pytest.mark.parametrize(("server", "rule", "case"), list(params()), indirect=["server"])
def test_the_contract(server: Any, rule: Rule, case: Case, record_property: Any) -> None:
    seen = tuple(request(server) for request in case.ask) if isinstance(case.ask, tuple) else case.ask(server)
    expected = case.expected if server.ours or case.theirs is None else case.theirs
    told = difference(expected, seen, server)
    record_property("difference", told)
    assert not told, f"{rule.text}\n{told}\n{seen}\n{server.log_text()[-6000:]}"
