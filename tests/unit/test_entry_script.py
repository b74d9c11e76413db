"""What run() gets is decided by its annotation, however that is written."""

import sys
from io import BytesIO

import pytest
from scoregate.script.entry_script import EntryScript
from scoregate.settings import Settings

LATER = "from __future__ import annotations\n"
IMPORTS = """
import functools
import typing
from typing import TYPE_CHECKING, Annotated, Optional, Union

import scoregate
import scoregate as sg
from scoregate import Body

Payload = Body
"""


@pytest.fixture
def given_type(tmp_path, monkeypatch):
    """Tell what type the first argument of a script's run() has."""

    def ask(source):
        (tmp_path / "score.py").write_text(source + "\ndef init(): pass\n")
        monkeypatch.setattr(sys, "path", sys.path[:])
        monkeypatch.chdir(tmp_path)
        script = EntryScript(Settings.from_environ({"APP_ROOT": str(tmp_path)}))
        body = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2", "wsgi.input": BytesIO(b"{}")}
        (value,) = script.read_arguments(body).values()
        assert getattr(value, "data", b"{}") == b"{}"
        return type(value).__name__

    return ask


@pytest.mark.parametrize("head", [IMPORTS, LATER + IMPORTS], ids=["at once", "later"])
@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        ("Body", "Body"),
        ("sg.Body", "Body"),
        ("scoregate.Body", "Body"),
        ("scoregate.script.body.Body", "Body"),
        ("Payload", "Body"),
        ("'sg.Body'", "Body"),
        ("Optional[sg.Body]", "Body"),
        ("sg.Body | None", "Body"),
        ("'sg.Body | None'", "Body"),
        ("Union[bytes, Body]", "Body"),
        ("Annotated[sg.Body, 'the digits']", "Body"),
        ("Optional['Body']", "Body"),
        ("typing.Any", "str"),
        ("str", "str"),
        ("list[Body]", "str"),
        ("type[Body]", "str"),
        ("None", "str"),
        ("'no such name'", "str"),
        ("'np.ndarray'", "str"),
    ],
)
def test_a_parameter_annotated_with_body_gets_one(given_type, head, annotation, given):
    assert given_type(f"{head}\ndef run(b: {annotation}, other: 'nobody knows' = 1): pass") == given


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("def run(b: NoSuchName): pass", "str"),
        ("def run(b: 1 / 0): pass", "str"),
        ("if TYPE_CHECKING:\n    from scoregate import Body as Only\ndef run(b: Only): pass", "str"),
        ("del Body\ndef run(b: Body): pass", "Body"),
        ("class Body: pass\ndef run(b: Body): pass", "str"),
        ("class Run:\n    def __call__(self, b: sg.Body): pass\nrun = Run()", "Body"),
        ("class Run:\n    def run(self, b: sg.Body): pass\nrun = Run().run", "Body"),
        ("def scored(b: sg.Body, model): pass\nrun = functools.partial(scored, model=1)", "Body"),
        (
            "def logged(function):\n"
            "    @functools.wraps(function)\n"
            "    def call(*args, **named): return function(*args, **named)\n"
            "    return call\n"
            "@logged\n"
            "def run(b: sg.Body): pass",
            "Body",
        ),
    ],
)
def test_annotations_of_all_kinds_of_functions_are_resolved_or_left_alone(given_type, source, given):
    assert given_type(f"{LATER}{IMPORTS}\n{source}") == given
