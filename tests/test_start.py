"""What stops a start, and how it is told."""

import os
import shutil
import signal
import socket

import pytest
import requests
from service import ROOT, wait_until

GOOD = "def init(): pass\ndef run(data): return data\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(None, "There is no entry script {path}", id="missing"),
        pytest.param("def init(:\n  pass\n", "{path}, line 1: the script cannot be loaded: SyntaxError", id="syntax"),
        pytest.param(
            "\nimport no_such\n", "{path}, line 2: the script cannot be loaded: ModuleNotFoundError", id="import"
        ),
        pytest.param("def run(data): return data\n", "{path} has no function init()", id="no init"),
        pytest.param("def init(): pass\n", "{path} has no function run()", id="no run"),
        pytest.param(
            "def init(): pass\ndef run(): pass\n",
            "{path}: run() needs to accept an argument for input data.",
            id="no parameter",
        ),
        pytest.param(
            "def init():\n    return 1 / 0\ndef run(data): pass\n",
            "{path}, line 2: init() raised: ZeroDivisionError: division by zero",
            id="init raises",
        ),
        pytest.param(
            "def init():\n    raise KeyboardInterrupt\ndef run(data): pass\n",
            "{path}, line 2: init() raised: KeyboardInterrupt",
            id="init is interrupted",
        ),
        pytest.param(
            "from greenlet import GreenletExit\ndef init():\n    raise GreenletExit\ndef run(data): pass\n",
            "{path}, line 3: init() raised: GreenletExit",
            id="init ends its greenlet",
        ),
        pytest.param(
            "class PanicException(BaseException): pass\nraise PanicException\n",
            "{path}, line 2: the script cannot be loaded: PanicException",
            id="import panics",
        ),
        pytest.param("import sys\nsys.exit(0)\n", "{path}, line 2: the script cannot be loaded: SystemExit", id="exit"),
    ],
)
def test_a_script_that_cannot_serve_ends_the_service_with_code_3_and_one_message(start, tmp_path, script, message):
    path = tmp_path / "score.py"
    if script is not None:
        path.write_text(script)
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=2)
    assert service.wait_end() == 3
    assert service.log.read_text().count(message.format(path=path)) == 1


def test_an_api_document_that_is_no_json_ends_the_service_with_one_message(start, tmp_path):
    (tmp_path / "score.py").write_text(GOOD)
    (tmp_path / "swagger.json").write_text('{"swagger": "2.0"')
    service = start(APP_ROOT=tmp_path, TRITON="off")
    assert service.wait_end() == 3
    log = service.log.read_text()
    assert log.count(f"{tmp_path}/swagger.json is to be answered at /swagger.json and cannot be read as JSON: ") == 1
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"WORKER_COUNT": "0"}, "WORKER_COUNT='0' is not a whole number from 1 to 1024."),
        ({"PORT": "http"}, "PORT='http' is not a whole number from 1 to 65535."),
        ({"AML_APP_ROOT": "/no/such"}, "AML_APP_ROOT='/no/such' is not a directory that exists."),
        ({"TRITON": "maybe"}, "TRITON='maybe' is not on or off."),
        ({"TRITON_EXTRA_ARGS": "'--log-info"}, "is not flags, quoted as in a shell."),
        ({"MODEL_DIR": "/no/such"}, "/no/such/triton"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_with_one_line(start, env, message):
    service = start(**env)
    assert service.wait_end() == 3
    lines = [line for line in service.log.read_text().splitlines() if "scoregate: Ready" not in line]
    assert message in lines[0]


def test_an_empty_model_repository_stops_the_start_with_one_line(start, tmp_path):
    (tmp_path / "triton").mkdir()
    service = start(MODEL_DIR=tmp_path)
    assert service.wait_end() == 3
    assert str(tmp_path / "triton") in service.log.read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("1/model.onnx", "not a graph", "ONNX Runtime cannot load"),
        ("config.pbtxt", "max_batch_size: many", "its config.pbtxt or its files are not what Triton expects"),
    ],
)
def test_a_model_that_triton_cannot_load_ends_the_service_and_is_named(start, tmp_path, file, text, reason):
    models = tmp_path / "triton"
    shutil.copytree(ROOT / "models" / "triton" / "digits", models / "digits")
    shutil.copytree(ROOT / "models" / "triton" / "digits", models / "broken")
    (models / "broken" / file).write_text(text)
    service = start(MODEL_DIR=tmp_path)
    assert service.wait_end() == 3
    (line,) = [line for line in service.log.read_text().splitlines() if "Triton cannot load model" in line]
    assert "Triton cannot load model 'broken', version " in line
    assert reason in line


def test_a_program_that_does_not_stay_up_ends_the_service_with_code_1(start):
    """Such as a Triton that has a flag, but cannot read its value."""
    service = start(TRITON_EXTRA_ARGS="--http-thread-count=many")
    assert service.wait_end() == 1
    log = service.log.read_text()
    assert "Invalid option value. Got many" in log
    assert "triton does not stay up: Exited too quickly" in log


def test_a_triton_that_ends_again_and_again_while_it_starts_ends_the_service_with_code_1(start):
    """Only after a second, in which it loads models: so for supervisord it had started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = f"--allow-grpc=true --grpc-address=127.0.0.1 --grpc-port={taken.getsockname()[1]}"
        service = start(TRITON_EXTRA_ARGS=flags)
        assert service.wait_end() == 1
    assert "triton does not stay up: it ended 4 times. The service ends." in service.log.read_text()


@pytest.mark.parametrize("name", ["PORT", "TRITON_HTTP_PORT", "TRITON_METRICS_PORT"])
def test_a_taken_port_stops_the_start_with_one_line_that_names_it(start, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start(**{name: port})
        assert service.wait_end() == 3
    (line,) = service.log.read_text().splitlines()
    assert line.startswith(f"{name}={port}: cannot listen on it (Address already in use).")


def test_without_triton_gunicorn_runs_alone(start, tmp_path):
    (tmp_path / "score.py").write_text(GOOD)
    service = start(AML_APP_ROOT=tmp_path, TRITON="off", MODEL_DIR="/no/such").wait_ready()
    assert service.score("hello").json() == "hello"
    assert service.children("tritonserver") == []
    assert service.stop() == 0


def test_until_init_is_done_probes_are_answered_and_score_is_503(start, tmp_path):
    gate = tmp_path / "gate"
    (tmp_path / "score.py").write_text(
        "import os, time\n"
        f"def init():\n    while not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
        "def run(data): return data\n"
    )
    service = start(APP_ROOT=tmp_path, TRITON="off")
    wait_until(lambda: requests.get(service.url + "/health/live", timeout=5).ok, 30, "live", service.log)
    for path in ("/", "/health/ready"):
        reply = requests.get(service.url + path, timeout=5)
        assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")
    reply = service.score("x")
    assert (reply.status_code, reply.json()["code"], reply.headers["Retry-After"]) == (503, "not_ready", "1")
    gate.touch()
    assert service.wait_ready().score("x").json() == "x"


@pytest.mark.parametrize("count", [1, 3])
def test_worker_count_workers_serve_and_a_killed_one_is_replaced(start, tmp_path, count):
    (tmp_path / "score.py").write_text("import os\ndef init(): pass\ndef run(data): return os.getpid()\n")
    service = start(APP_ROOT=tmp_path, TRITON="off", WORKER_COUNT=count).wait_ready()

    def pids() -> set[int]:
        return {service.score("x").json() for _ in range(60)}

    wait_until(lambda: len(pids()) == count, 30, "as many workers answer", service.log)
    os.kill(victim := pids().pop(), signal.SIGKILL)
    wait_until(lambda: len(pids() - {victim}) == count, 30, "the killed worker is replaced", service.log)
    assert service.metric("scoregate_worker_restarts_total") == 1
