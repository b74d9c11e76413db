"""The images, built and run by a real engine. Without one these tests are skipped, and the summary says so.

The images that they are built on can be named: TRITON_IMAGE and PYTHON_IMAGE, as in the Dockerfile.
"""

import contextlib
import json
import os
import shutil
import subprocess

import pytest
import requests
from load import Load
from service import ROOT, wait_until

REQUEST = (ROOT / "examples/digits/request.json").read_text()
BASES = [f"--build-arg={name}={os.environ[name]}" for name in ("TRITON_IMAGE", "PYTHON_IMAGE") if name in os.environ]
SHARED_MEMORY = "--shm-size=256m"

# Doubles what it gets; both Tritons have the Python backend.
MODEL = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("y", 2 * each.inputs()[0].as_numpy())]) for each in requests
        ]
"""
CONFIG = """
backend: "python"
max_batch_size: 8
input [{ name: "x", data_type: TYPE_FP32, dims: [1] }]
output [{ name: "y", data_type: TYPE_FP32, dims: [1] }]
"""
SCRIPT = """
import numpy as np
from scoregate import Body, TritonModel

def init():
    global double
    double = TritonModel("double")

def run(body: Body):
    return double(x=body.json_array("x"))["y"]
"""


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip() if check else done.stdout + done.stderr


def engine() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not engine(), reason="no container engine answers: the images are not built nor run")


def build(tag: str, *arguments: str) -> str:
    told = docker("build", "-t", tag, *arguments, *BASES, str(ROOT), check=False)
    if "Successfully" not in told and ("no such host" in told or "pull access denied" in told):
        pytest.skip(f"the image that {tag} is built on is not here and cannot be had: {told.splitlines()[-1]}")
    assert docker("images", "-q", tag), told
    return tag


@pytest.fixture(scope="module")
def cpu() -> str:
    return build("scoregate-test:cpu", "--target", "cpu")


@pytest.fixture(scope="module")
def triton() -> str:
    return build("scoregate-test:triton")


class Container:
    def __init__(self, image: str, *arguments: str) -> None:
        self.id = docker("run", "-d", "-p", "127.0.0.1:0:5001", *arguments, image)

    @property
    def port(self) -> int:
        return int(docker("port", self.id, "5001").splitlines()[0].rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logs(self) -> str:
        return docker("logs", self.id, check=False)

    def inspect(self, what: str) -> str:
        return docker("inspect", self.id, "--format", what)

    def ready(self) -> bool:
        assert self.inspect("{{.State.Running}}") == "true", self.logs()
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url + "/health/ready", timeout=5).ok
        return False

    def wait_ready(self) -> "Container":
        wait_until(self.ready, 90, "ready")
        return self

    def score(self, body: str = REQUEST) -> requests.Response:
        return requests.post(self.url + "/score", body, timeout=30)


@pytest.fixture
def run():
    """Run an image; the container is removed after the test."""
    containers = []

    def begin(image: str, *arguments: str) -> Container:
        containers.append(Container(image, *arguments))
        return containers[-1]

    yield begin
    for each in containers:
        docker("rm", "-f", each.id)


@pytest.fixture
def users(tmp_path):
    """What a user mounts: models with a Python model, and a script."""
    (tmp_path / "models/triton/double/1").mkdir(parents=True)
    (tmp_path / "models/triton/double/1/model.py").write_text(MODEL)
    (tmp_path / "models/triton/double/config.pbtxt").write_text(CONFIG)
    (tmp_path / "score").mkdir()
    (tmp_path / "score/score.py").write_text(SCRIPT)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o777 == 0o700:  # pytest's directories
            parent.chmod(0o755)
    return tmp_path


def mounts(users) -> list[str]:
    return [f"-v={users}/models:/models:ro", f"-v={users}/score:/score:ro"]


def test_it_serves_as_it_is_and_says_that_it_is_healthy(cpu, run):
    container = run(cpu, SHARED_MEMORY).wait_ready()
    assert json.loads(container.score().text)["digit"] == [2]
    assert requests.get(container.url + "/", timeout=5).text == "Healthy"
    wait_until(lambda: container.inspect("{{.State.Health.Status}}") == "healthy", 60, "healthy")
    assert docker("exec", container.id, "id", "-u") == "1000"
    assert docker("exec", container.id, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline").startswith(
        "python3 -m scoregate.cli.serve"
    )
    logs = container.logs()
    assert "Ready. Entry script" in logs
    assert "  digits  1        READY" in logs
    assert "MiB; when it is full" not in logs


@pytest.mark.parametrize("image", ["cpu", "triton"])
def test_a_users_models_and_script_by_mount(image, run, users, request):
    container = run(request.getfixturevalue(image), SHARED_MEMORY, *mounts(users)).wait_ready()
    assert container.score('{"x": [[1.5]]}').json() == [[3.0]]
    assert ("There is no GPU here: Triton serves on the CPU." in container.logs()) == (image == "triton")


def test_a_users_models_and_script_in_an_image_of_their_own(cpu, run, users):
    shutil.copy(ROOT / "examples/image/Dockerfile", users)
    docker("build", "-t", "scoregate-test:own", "--build-arg", f"SCOREGATE_IMAGE={cpu}", str(users))
    container = run("scoregate-test:own", SHARED_MEMORY).wait_ready()
    assert container.score('{"x": [[1.5]]}').json() == [[3.0]]


@pytest.mark.parametrize(
    "confined",
    [
        pytest.param(["--read-only", "--tmpfs=/tmp:exec"], id="read-only"),
        pytest.param(["--user=1234"], id="another user"),
        pytest.param(["--user=1234", "--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL"], id="all of it"),
    ],
)
def test_it_runs_confined(cpu, run, confined):
    container = run(cpu, SHARED_MEMORY, *confined, "--security-opt=no-new-privileges").wait_ready()
    assert container.score().ok


def test_docker_stop_under_load_loses_nothing_and_ends_in_time(cpu, run):
    container = run(cpu, SHARED_MEMORY, "-e=WORKER_COUNT=2").wait_ready()
    # Straight to the container: the engine's proxy on the host accepts connections also when nobody listens behind it.
    load = Load(5001, 16, REQUEST, container.inspect("{{.NetworkSettings.IPAddress}}"))
    wait_until(lambda: sum(load.outcomes.values()) > 300, 30, "under load")
    docker("stop", container.id)  # which kills what has not ended after 10 s
    assert container.inspect("{{.State.ExitCode}}") == "0"
    outcomes = load.end()
    assert [outcome for outcome in outcomes if not isinstance(outcome, tuple) or outcome[0] != 200] == []


def test_a_killed_triton_comes_back_and_leaves_no_zombie(cpu, run):
    container = run(cpu, SHARED_MEMORY).wait_ready()
    before = docker("exec", container.id, "sh", "-c", "cat /tmp/scoregate-*/triton.pid")
    docker("exec", container.id, "sh", "-c", f"kill -KILL {before}")
    wait_until(lambda: not container.ready(), 30, "down")
    wait_until(container.ready, 60, "up again")
    assert container.score().ok
    assert docker("exec", container.id, "sh", "-c", "cat /tmp/scoregate-*/triton.pid") != before
    states = docker("exec", container.id, "sh", "-c", "cat /proc/[0-9]*/stat | sed 's/.*) //; s/ .*//'")
    assert "Z" not in states.split()


def test_a_new_script_is_loaded_by_the_documented_line(cpu, run, users):
    container = run(cpu, SHARED_MEMORY, *mounts(users)).wait_ready()
    (users / "score/score.py").write_text(SCRIPT.replace('["y"]', '["y"] + 1'))
    docker("exec", container.id, "sh", "-c", "kill -HUP $(cat /tmp/scoregate-*/gunicorn.pid)")
    wait_until(lambda: container.score('{"x": [[1.5]]}').json() == [[4.0]], 30, "the new script answers")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(["--shm-size=64m"], "/dev/shm has only 64 MiB", id="little shared memory"),
        pytest.param(["-e=WORKER_COUNT=many"], "WORKER_COUNT='many' is not a whole number", id="a setting"),
        pytest.param(["-e=MODEL_DIR=/none"], "/none/triton does not exist", id="no models"),
        pytest.param(["-e=TRITON_EXTRA_ARGS=--fast"], "This tritonserver has no flag --fast", id="a flag"),
    ],
)
def test_what_is_wrong_at_the_start_is_told(cpu, run, arguments, line):
    container = run(cpu, *arguments)
    wait_until(lambda: line in container.logs(), 30, line)
    if "--shm-size=64m" not in arguments:
        assert docker("wait", container.id) == "3"


def test_models_that_the_images_user_cannot_read_are_told(cpu, run, users):
    (users / "models/triton/double").chmod(0o700)
    container = run(cpu, SHARED_MEMORY, *mounts(users))
    assert docker("wait", container.id) == "3"
    assert "/models/triton/double cannot be read by user 1000" in container.logs()
