"""/swagger.json is JSON, whatever the user's file or the script's examples hold."""

import codecs
import json
import sys

import pytest
from scoregate.scoring import render
from scoregate.script.entry_script import EntryScript, EntryScriptError
from scoregate.settings import Settings
from scoregate.web.openapi import ApiDocuments

HEAD = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init(): pass
"""
PLAIN = "def init(): pass\ndef run(data): return data\n"


@pytest.fixture
def documents(tmp_path, monkeypatch):
    def make(source=PLAIN, own=None):
        (tmp_path / "score.py").write_text(source)
        if own is not None:
            (tmp_path / "swagger.json").write_bytes(own)
        monkeypatch.setattr(sys, "path", sys.path[:])
        monkeypatch.chdir(tmp_path)
        settings = Settings.from_environ({"APP_ROOT": str(tmp_path)})
        return ApiDocuments(EntryScript(settings), settings)

    return make


def written(document):
    """Read an answer as everybody but Python does."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(render.to(document).body, parse_constant=refuse)


def test_an_example_with_nan_is_null(documents):
    made = documents(
        f"{HEAD}\n"
        "@input_schema('rows', NumpyParameterType(np.array([np.nan, 1.5])))\n"
        "@output_schema(StandardPythonParameterType({'best': float('inf')}))\n"
        "def run(rows): return rows\n"
    )
    schemas = written(made.get("2"))["definitions"]
    assert schemas["ServiceInput"]["example"] == {"rows": [None, 1.5]}
    assert schemas["ServiceOutput"]["example"] == {"best": None}


@pytest.mark.parametrize(
    "own",
    [
        codecs.BOM_UTF8 + b'{"title": "\xc3\xbc"}',
        '{"title": "ü"}'.encode("utf-16"),
        b'{"title": "other", "title": "\\u00fc"}',
    ],
)
def test_the_users_file_is_read_as_json_is(documents, own):
    assert written(documents(own=own).get("2")) == {"title": "ü"}


def test_numbers_in_the_users_file_stay_as_they_are(documents):
    own = b'{"a": 123456789012345678901234567890, "b": -0.0, "c": 0.1, "d": NaN, "e": 1e400, "f": "\\ud800"}'
    said = written(documents(own=own).get("2"))
    assert json.dumps(said) == (
        '{"a": 123456789012345678901234567890, "b": -0.0, "c": 0.1, "d": null, "e": null, "f": "\\ud800"}'
    )


@pytest.mark.parametrize("own", [b'{"a": 1', b"", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_file_that_is_no_json_is_named(documents, tmp_path, own):
    with pytest.raises(EntryScriptError, match=rf"^{tmp_path}/swagger.json .* cannot be read as JSON: .+"):
        documents(own=own)
