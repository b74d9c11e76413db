"""The docs name what the code has."""

import ast
import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest
import scoregate.triton  # noqa: F401 - it has failures of its own
from scoregate import errors
from scoregate.settings import Settings

ROOT = Path(__file__).parent.parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_references_settings_are_the_codes():
    rows = []
    for rule in (each.metadata["rule"] for each in fields(Settings)):
        names = ", ".join(f"`{name}`" for name in rule.names)
        rows.append(f"| {names} | {f'`{rule.default}`' if rule.default else ''} | {rule.meaning} |")
    table = "\n".join(rows)
    assert table in REFERENCE, table


def failures(base: type) -> list[type]:
    return [base, *(failure for each in base.__subclasses__() for failure in failures(each))]


@pytest.mark.parametrize("failure", failures(errors.ScoringError), ids=lambda failure: failure.__name__)
def test_the_reference_names_each_failure(failure):
    assert re.search(rf"^\| [^|]*{failure.status}[^|]* \| [^|]*`{failure.code}`", REFERENCE, re.MULTILINE)


def test_the_reference_names_each_route():
    source = ast.parse((ROOT / "app" / "web" / "routes.py").read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    declared = [call.args[0] for call in calls if call.func.attr in {"get", "route"} and call.args]
    routes = {each.value for each in declared if isinstance(each, ast.Constant) and each.value.startswith("/")}
    assert "/score" in routes
    assert [route for route in routes if f" {route}`" not in REFERENCE] == []


NAMED = re.findall(r"`([a-z_]+(?:\.[a-z_]+)*(?:\.[A-Z]\w*)?)`", ARCHITECTURE)
ROOMS = {each.name for each in (ROOT / "app").iterdir() if (each / "__init__.py").is_file()}


@pytest.mark.parametrize("name", sorted({each for each in NAMED if each.partition(".")[0] in ROOMS | {"errors"}}))
def test_what_the_architecture_names_exists(name):
    module, _, last = name.rpartition(".")
    if last[0].isupper():
        assert hasattr(importlib.import_module(f"scoregate.{module}"), last)
    else:
        assert importlib.util.find_spec(f"scoregate.{name}")


def test_the_architecture_names_each_room_and_each_file_that_it_sends_to():
    assert [room for room in ROOMS if f"`{room}`" not in ARCHITECTURE] == []
    files = re.findall(r"`(app/[\w/]+\.py)`", ARCHITECTURE)
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_each_link_between_pages_leads_somewhere():
    broken = []
    places = ("*.md", "docs/**/*.md", "*/README.md", "deploy/*/README.md")
    for page in [page for place in places for page in ROOT.glob(place)]:
        for target in re.findall(r"\]\((?!http|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
