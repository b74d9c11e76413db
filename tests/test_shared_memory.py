"""Large tensors reach Triton through shared memory: the right ones, whoever dies, and nothing stays behind."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from load import Load
from scoregate.triton import shared_memory
from scoregate.triton.connections import Connections
from scoregate.triton.shared_memory import Regions
from service import Service, wait_until

# Answers with the mean, which it also writes down; for a negative one it takes so many seconds.
MODEL = """
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for each in requests:
            mean = float(each.inputs()[0].as_numpy().mean())
            with open(FILE, "a") as file:
                file.write(f"{mean}\\n")
            time.sleep(max(-mean, 0))
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("mean", np.float32([mean]))]))
        return responses
"""
CONFIG = """
backend: "python"
max_batch_size: 0
input [{ name: "numbers", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "mean", data_type: TYPE_FP32, dims: [1] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
"""
OWN = """
from scoregate import Body, TritonModel

def init():
    global model
    model = TritonModel("mean")

def run(body: Body):
    return model(numbers=body.array("<f4"))["mean"].tolist()[0]
"""
UNMODIFIED = """
import numpy as np
import tritonclient.http
from azureml.contrib.services.aml_request import rawhttp

def init():
    global client
    client = tritonclient.http.InferenceServerClient(url="localhost:8000")

@rawhttp
def run(request):
    numbers = np.frombuffer(request.get_data(), dtype="<f4")
    tensor = tritonclient.http.InferInput("numbers", numbers.shape, "FP32")
    tensor.set_data_from_numpy(numbers)
    return client.infer("mean", [tensor]).as_numpy("mean").tolist()[0]
"""
COUNT = 2**18  # float32 in a request: 1 MiB


@pytest.fixture(scope="module", params=[OWN, UNMODIFIED], ids=["own", "unmodified"])
def service(request, start_module, tmp_path_factory):
    """Serves the model; `means` is its file."""
    root = with_script(tmp_path_factory.mktemp("root"), request.param)
    service = start_module(MODEL_DIR=root, AML_APP_ROOT=root).wait_ready()
    service.means = root / "means"
    service.means.touch()
    return service


def with_script(root: Path, script: str) -> Path:
    (root / "triton/mean/1").mkdir(parents=True)
    (root / "triton/mean/1/model.py").write_text(MODEL.replace("FILE", repr(str(root / "means"))))
    (root / "triton/mean/config.pbtxt").write_text(CONFIG)
    (root / "score.py").write_text(script)
    return root


def mean(service: Service, value: float, count: int = COUNT, **kwargs) -> requests.Response:
    return service.score(np.full(count, value, "<f4").tobytes(), **kwargs)


def regions(service: Service) -> dict[str, int]:
    """What Triton has: the name and the size of each."""
    told = requests.get(service.triton_url + "/v2/systemsharedmemory/status", timeout=5).json()
    return {each["name"]: each["byte_size"] for each in told}


def files(service: Service) -> list[Path]:
    """The regions' files, which other services have, too, for a moment."""
    ours = Path("/dev/shm").glob(f"{instance(service)}-*")
    return [each for each in ours if shared_memory.NAME.fullmatch(each.name)]


def instance(service: Service) -> str:
    return service.directory.name


def test_one_caller_s_tensors_take_turns_in_one_region_and_small_ones_take_none(service):
    assert service.score(np.full(8, 3, "<f4").tobytes()).json() == 3
    assert not regions(service)
    assert [mean(service, value).json() for value in (1, 2, 3)] == [1, 2, 3]
    assert list(regions(service).values()) == [COUNT * 4]
    assert not files(service)


def test_tensors_side_by_side_do_not_mix(service):
    with ThreadPoolExecutor(8) as pool:
        assert [each.json() for each in pool.map(lambda value: mean(service, value), range(64))] == [*range(64)]
    assert 1 < len(regions(service)) <= 8
    assert not files(service)


def test_a_request_that_was_given_up_keeps_its_tensor_until_triton_has_done_with_it(service):
    """It waits behind one that takes a second, and has its own numbers when its turn comes."""
    size = 2 * COUNT  # for which no region is idle
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(mean, service, -1, size)
        wait_until(lambda: "-1.0" in service.means.read_text(), 10, "the slow one has begun", service.log)
        reply = mean(service, 100, size, headers={"x-request-timeout-ms": "200"})
        assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded")
        assert mean(service, 101, size).json() == 101
        assert slow.result().json() == -1
    told = service.means.read_text().split()
    assert sorted(told[told.index("-1.0") + 1 :]) == ["100.0", "101.0"]


def test_a_new_triton_gets_them_too(service):
    (triton,) = service.children("--model-repository")
    mean(service, 1)
    before = regions(service)
    os.kill(triton, signal.SIGKILL)
    wait_until(lambda: mean(service, 5).ok, 30, "answers again", service.log)
    assert [mean(service, value).json() for value in (6, 7)] == [6, 7]
    assert wait_until(lambda: mean(service, 8).ok and regions(service), 10, "a region", service.log)
    assert not before.keys() & regions(service).keys()


def test_what_a_killed_worker_had_is_given_back(service):
    assert wait_until(lambda: mean(service, 1).ok and regions(service), 10, "a region", service.log)
    (worker,) = {int(shared_memory.NAME.fullmatch(name)[1]) for name in regions(service)}
    os.kill(worker, signal.SIGKILL)

    def given_back() -> bool:
        names = regions(service)
        return mean(service, 1).ok and bool(names) and not any(f"-{worker}-" in each for each in names)

    wait_until(given_back, 30, "given back", service.log)
    assert not files(service)


def test_the_file_of_a_worker_that_was_killed_before_triton_had_opened_it_is_removed(service):
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, of_another = (Path(f"/dev/shm/{each}-{ended.pid}-00000000") for each in (instance(service), "scoregate-0-1"))
    of_one_alive = Path(f"/dev/shm/{instance(service)}-{os.getpid()}-00000000")
    for file in (left, of_one_alive, of_another):
        file.touch()
    try:
        assert mean(service, 1, 5 * COUNT).ok  # for which no region is idle
        assert files(service) == [of_one_alive]
        assert of_another.exists()
    finally:
        for file in (left, of_one_alive, of_another):
            file.unlink(missing_ok=True)


@pytest.mark.parametrize("script", [OWN, UNMODIFIED], ids=["own", "unmodified"])
def test_answers_are_right_whoever_is_killed_under_load(start, tmp_path, script):
    root = with_script(tmp_path, script)
    service = start(MODEL_DIR=root, AML_APP_ROOT=root, WORKER_COUNT=2).wait_ready()
    loads = {value: Load(service.port, 4, np.full(COUNT, value, "<f4").tobytes()) for value in (1.0, 2.0)}
    for victim in ("--model-repository", "scoregate.server.master") * 3:
        goals = {value: load.outcomes[200, str(value)] + 20 for value, load in loads.items()}
        wait_until(
            lambda goals=goals: all(loads[each].outcomes[200, str(each)] > goal for each, goal in goals.items()),
            30,
            f"answers before {victim} is killed",
            service.log,
        )
        os.kill(service.children(victim)[-1], signal.SIGKILL)  # of Gunicorn's processes, the newest worker
    for value, load in loads.items():
        answered = {each for each in load.end() if isinstance(each, tuple)}
        assert {body for status, body in answered if status == 200} == {str(value)}
        assert {status for status, _ in answered} <= {200, 503}
    assert not files(service)


@pytest.fixture
def to_triton(service):
    yield (connections := Connections(f"127.0.0.1:{service.triton_port}", 5, 5))
    connections._idle.connections.pop().close()  # for whose end Triton would wait


def test_without_room_or_where_triton_cannot_find_them_they_are_sent(to_triton, tmp_path, monkeypatch):
    tensor = bytes(COUNT * 4)
    for name, value in {"MOST_BYTES": COUNT, "LEAST_SHARED_MEMORY": 2**60, "DIRECTORY": tmp_path}.items():
        with monkeypatch.context() as patched:
            patched.setattr(shared_memory, name, value)
            refused = Regions(to_triton)
            assert [refused.through([tensor], pytest.fail) for _ in range(2)] == [None, None]
    assert not list(tmp_path.iterdir())


def test_idle_regions_make_room_for_a_larger_one(service, to_triton, monkeypatch):
    monkeypatch.setattr(shared_memory, "MOST_BYTES", sum(regions(service).values()) + 2**20)
    monkeypatch.setattr(shared_memory, "FULL_S", 0)
    made = Regions(to_triton)
    small, large = [made.through([bytes(size)], lambda places: places[0].region) for size in (2**19, 2**20)]
    assert small in regions(service)
    assert large is None
    large = made.through([bytes(2**20)], lambda places: places[0].region)
    assert regions(service)[large] == 2**20
    assert small not in regions(service)


def test_32_kib_in_all_are_sent_and_more_goes_through_it(to_triton):
    made = Regions(to_triton)
    assert made.through([bytes(2**14), bytes(2**14)], pytest.fail) is None
    assert made.through([bytes(2**14), bytes(2**14 + 1)], len) == 2
