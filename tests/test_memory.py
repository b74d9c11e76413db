"""What a request held is given back when it is answered, and not only when Python looks for garbage."""

from pathlib import Path

import pytest
from service import ROOT

NO_GARBAGE_COLLECTION = "import gc\ngc.disable()\n"
TEXT = "def init(): pass\ndef run(data): return len(data)\n"
RAISES = "def init(): pass\ndef run(data): raise ValueError(len(data))\n"
FLASK = "import flask\ndef init(): pass\ndef run(data): return len(flask.request.get_data())\n"
BODY = "from scoregate import Body\ndef init(): pass\ndef run(body: Body): return len(body.array('u1'))\n"
RAWHTTP = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init(): pass

@rawhttp
def run(request): return AMLResponse(str(len(request.get_data())), 200)
"""
SCHEMA = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init(): pass

@input_schema("data", StandardPythonParameterType([0]))
def run(data): return len(data)
"""
DIGITS = (ROOT / "examples/digits/score.py").read_text()
IMAGE = (ROOT / "examples/digits/request.json").read_bytes()
BODY_BYTES = 4 << 20
REQUESTS = 20


def held_bytes(worker: int) -> int:
    (line,) = [line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("script", "body", "status", "headers"),
    [
        pytest.param(TEXT, IMAGE, 200, {}, id="text"),
        pytest.param(TEXT, b"\xff", 400, {}, id="no-text"),
        pytest.param(RAISES, IMAGE, 500, {}, id="raises"),
        pytest.param(FLASK, IMAGE, 200, {}, id="flask"),
        pytest.param(BODY, IMAGE, 200, {}, id="body"),
        pytest.param(RAWHTTP, IMAGE, 200, {}, id="rawhttp"),
        pytest.param(RAWHTTP, IMAGE, 200, {"Expect": "100-continue"}, id="gunicorns-parser"),
        pytest.param(SCHEMA, IMAGE, 200, {}, id="schema"),
        pytest.param(SCHEMA, b"[]", 400, {}, id="not-the-schema"),
        pytest.param(DIGITS, IMAGE, 200, {}, id="triton"),
    ],
)
def test_a_body_is_held_no_longer_than_its_request(start, tmp_path, script, body, status, headers):
    (tmp_path / "score.py").write_text(NO_GARBAGE_COLLECTION + script)
    service = start(APP_ROOT=tmp_path, WORKER_COUNT=1, TRITON="on" if script is DIGITS else "off").wait_ready()
    _, worker = service.children("gunicorn")  # its parent first
    large = body + b" " * (BODY_BYTES - len(body))

    def ask() -> None:
        assert service.score(large, headers={"Content-Type": "application/json", **headers}).status_code == status

    for _ in range(3):  # what is held for good, once
        ask()
    held = held_bytes(worker)
    for _ in range(REQUESTS):
        ask()
    assert held_bytes(worker) - held < REQUESTS / 4 * BODY_BYTES


def test_what_was_loaded_at_the_start_is_not_looked_through_for_garbage_but_once(start, tmp_path):
    (tmp_path / "score.py").write_text("""
import gc, weakref

class Weights: pass

def init():
    global loaded, dropped
    loaded, garbage = Weights(), Weights()
    garbage.itself = garbage
    dropped = weakref.ref(garbage)

def run(data):
    return {"loaded": any(each is loaded for each in gc.get_objects()), "dropped": dropped() is not None}
""")
    service = start(APP_ROOT=tmp_path, WORKER_COUNT=1, TRITON="off").wait_ready()
    assert service.score(IMAGE).json() == {"loaded": False, "dropped": False}
