"""The docs name what the code has."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
import scoregate.triton  # noqa: F401 - it has failures of its own
from scoregate import errors
from scoregate.settings import Settings

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_the_readmes_settings_are_the_codes():
    rows = []
    for rule in (each.metadata["rule"] for each in fields(Settings)):
        names = ", ".join(f"`{name}`" for name in rule.names)
        rows.append(f"| {names} | {f'`{rule.default}`' if rule.default else ''} | {rule.meaning} |")
    table = "\n".join(rows)
    assert table in README, table


def failures(base: type) -> list[type]:
    return [base, *(failure for each in base.__subclasses__() for failure in failures(each))]


@pytest.mark.parametrize("failure", failures(errors.ScoringError), ids=lambda failure: failure.__name__)
def test_the_readme_names_each_failure(failure):
    assert re.search(rf"^\| [^|]*{failure.status}[^|]* \| [^|]*`{failure.code}`", README, re.MULTILINE)


def test_the_readme_names_each_route():
    source = ast.parse((ROOT / "app" / "web" / "routes.py").read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    declared = [call.args[0] for call in calls if call.func.attr in {"get", "route"} and call.args]
    routes = {each.value for each in declared if isinstance(each, ast.Constant) and each.value.startswith("/")}
    assert "/score" in routes
    assert [route for route in routes if f" {route}`" not in README] == []
