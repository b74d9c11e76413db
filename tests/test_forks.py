"""Processes that a script starts: they run to their end, by themselves."""

from concurrent.futures import ThreadPoolExecutor

import pytest

SCRIPT = """
import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool

import numpy as np
import tritonclient.http as triton

COUNT = 20_000  # large enough for shared memory

def init():
    global client
    client = triton.InferenceServerClient("localhost:8000")
    threading.Thread(target=tick, daemon=True).start()
    assert child("init", wait) == ["init", 0]
    global pool
    pool = multiprocessing.Pool(4)

def tick():
    while True:
        with open("ticks", "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(0.05)

def run(data):
    what, _, which = data.partition(" ")
    return globals()["in_" + what](which)

def child(value, function):
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=call, args=(theirs, function, value))
    process.start()
    theirs.close()
    answer = ours.recv()
    process.join()
    return [answer, process.exitcode]

def call(pipe, function, value):
    pipe.send(function(value))

def wait(value):
    time.sleep(0.3)
    return value

def ask(value):
    tensor = triton.InferInput("numbers", [COUNT], "FP32")
    tensor.set_data_from_numpy(np.full(COUNT, float(value), np.float32))
    return [client.infer("mean", [tensor]).as_numpy("mean").tolist()[0] for _ in range(5)]

def run_program(value):
    return subprocess.run(["echo", value], capture_output=True, text=True).stdout.strip()

def in_waits(value):
    return child(value, wait)

def in_asks(value):
    return [child(value, ask)[0], ask(value)]

def in_runs(value):
    return child(value, run_program)

def in_program(value):
    return run_program(value)

def in_nested(value):
    return child(value, lambda value: child(value, wait))

def in_coroutine(value):
    return child(value, lambda value: asyncio.run(asyncio.sleep(0.1, value)))

def in_fails(value):
    process = multiprocessing.Process(target=lambda: (time.sleep(0.2), sys.exit(7)))
    process.start()
    process.join()
    return process.exitcode

def in_terminated(value):
    process = multiprocessing.Process(target=time.sleep, args=(60,))
    process.start()
    time.sleep(0.2)
    process.terminate()
    process.join()
    return process.exitcode

def in_executor(value):
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(wait, [value] * 4))

def in_threads(value):
    with ThreadPool(2) as pool:
        return pool.map(wait, [value] * 4)

def in_pool(value):
    with multiprocessing.Pool(2) as pool:
        return pool.map(wait, [value] * 4)

def in_common(seconds):
    return pool.map(sleep, [seconds] * 4)

def sleep(seconds):
    time.sleep(float(seconds))
    return seconds

def in_queues(value):
    asks, answers = multiprocessing.Queue(), multiprocessing.Queue()
    process = multiprocessing.Process(target=lambda: answers.put(asks.get() * 100_000))
    process.start()
    asks.put(value)
    answer = answers.get()
    process.join()
    return [len(answer), process.exitcode]

def in_manager(value):
    with multiprocessing.Manager() as manager:
        return dict(manager.dict(value=value))

def in_returns(value):
    return "child" if os.fork() == 0 else "parent"

def in_pid(value):
    return os.getpid()
"""
MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        means = [np.float32([each.inputs()[0].as_numpy().mean()]) for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("mean", each)]) for each in means]
"""
CONFIG = """
backend: "python"
max_batch_size: 0
input [{ name: "numbers", data_type: TYPE_FP32, dims: [-1] }]
output [{ name: "mean", data_type: TYPE_FP32, dims: [1] }]
instance_group [{ kind: KIND_CPU, count: 1 }]
"""


@pytest.fixture(scope="module")
def service(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("forks")
    (root / "score.py").write_text(SCRIPT)
    (root / "triton/mean/1").mkdir(parents=True)
    (root / "triton/mean/1/model.py").write_text(MODEL)
    (root / "triton/mean/config.pbtxt").write_text(CONFIG)
    service = start_module(APP_ROOT=root, MODEL_DIR=root).wait_ready()
    service.ticks = root / "ticks"
    return service


@pytest.mark.parametrize(
    ("how", "right"),
    [
        ("waits", ["3", 0]),
        ("runs", ["3", 0]),
        ("program", "3"),
        ("nested", [["3", 0], 0]),
        ("coroutine", ["3", 0]),
        ("fails", 7),
        ("terminated", -15),
        ("executor", ["3"] * 4),
        ("threads", ["3"] * 4),
        ("pool", ["3"] * 4),
        ("queues", [100_000, 0]),
        ("manager", {"value": "3"}),
        ("returns", "parent"),
    ],
)
def test_a_child_runs_to_its_end(service, how, right):
    worker = service.score("pid").json()
    assert service.score(f"{how} 3").json() == right
    with ThreadPoolExecutor(6) as pool:
        assert [each.json() for each in pool.map(service.score, [f"{how} 3"] * 6)] == [right] * 6
    assert service.score("pid").json() == worker


def test_a_child_does_nothing_of_the_worker_s(service):
    service.score("waits 1")
    assert set(service.ticks.read_text().split()) == {str(service.score("pid").json())}


def test_parent_and_child_have_their_own_connections_to_triton(service):
    with ThreadPoolExecutor(8) as pool:
        answers = [each.json() for each in pool.map(service.score, [f"asks {value}" for value in range(8)] * 4)]
    assert answers == [[[value] * 5] * 2 for value in range(8)] * 4


def test_a_request_that_is_late_with_a_pool_leaves_it_to_others(service):
    late = service.score("common 1", headers={"x-request-timeout-ms": "300"})
    assert late.json()["code"] == "deadline_exceeded"
    assert service.score("common 0.1").json() == ["0.1"] * 4


def test_the_service_stops_whatever_its_script_has_started(service):
    assert service.score("common 0.1").ok
    assert service.stop(20) == 0
