"""docs/api.md and the suite hold the same rules."""

import difflib

from rules import GROUPS
from service import ROOT

HEAD = ["| Rule | azureml-inference-server-http 1.5.1 |", "| --- | --- |"]


def tables() -> list[str]:
    """The tables as they should be, each after its title."""
    lines = []
    for group in GROUPS:
        lines += [f"## {group.title}", *HEAD]
        lines += [f"| {rule.text} | {rule.theirs or 'the same'} |" for rule in group.rules]
    return lines


def test_each_rule_is_documented_and_each_documented_rule_is_tested():
    lines = (ROOT / "docs" / "api.md").read_text().splitlines()
    written = [line for line in lines if line.startswith(("|", "## "))]
    told = "\n".join(difflib.unified_diff(written, tables(), "docs/api.md", "the suite", lineterm="", n=1))
    assert not told, told


def test_each_rule_and_each_case_has_a_name_of_its_own():
    rules = [rule for group in GROUPS for rule in group.rules]
    cases = [case.what for rule in rules for case in rule.cases]
    assert len({rule.text for rule in rules}) == len(rules)
    assert [each for each in cases if cases.count(each) > 1] == []
    assert [rule.text for rule in rules if "|" in rule.text + rule.theirs] == []
