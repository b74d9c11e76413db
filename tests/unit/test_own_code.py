"""The service's own code, in whichever room it lies, is never taken for the script's, also below APP_ROOT."""

from pathlib import Path

import scoregate.application
from scoregate.eventloop.interruption import _LIBRARY, Stacks, Whose
from scoregate.script import flask_use

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(map(str, (ROOT / "app").rglob("*.py")))


def test_it_does_not_make_a_script_one_that_asks_flask():
    assert scoregate.application.Flask  # the service itself does, in modules that are loaded
    assert not flask_use.needs_context(ROOT / "examples/digits/score.py", [ROOT])


def test_it_is_not_interrupted_but_where_it_computes_for_the_script():
    whose = {module: Stacks([ROOT])._find_out(module) for module in MODULES}
    assert {module for module in MODULES if whose[module] is not Whose.OURS} == _LIBRARY
    assert {whose[module] for module in _LIBRARY} == {Whose.LIBRARY}
