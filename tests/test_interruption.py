"""Requests that are ended wherever they are, by the thousand, leave the worker as it was."""

import http.client
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

CUT = 2000
CALLERS = 16
MODULES = 40
SCRIPT = """
import importlib
import logging
import os
import queue
import socket
import sys
import time

import numpy as np
import tritonclient.http as triton
from scoregate.triton import connections, shared_memory

def init():
    global log, client, numbers
    log = logging.getLogger("busy")
    log.propagate = False
    log.setLevel("INFO")
    log.addHandler(logging.StreamHandler(open(os.devnull, "w")))
    client = triton.InferenceServerClient("localhost:8000")
    numbers = queue.Queue(8)

def run(data):
    what, _, which = data.partition(" ")
    return globals()[what](int(which or 0))

def busy(number):
    while True:
        for step in (number % 5, (number + 1) % 5, (number + 2) % 5):
            (write, load, ask, pass_on, compute)[step](number)

def write(number):
    for _ in range(50):
        log.info("%d", number)

def load(number):
    name = f"lazy_{number % MODULES}"
    importlib.import_module(name)
    if number % 7 == 0:
        sys.modules.pop(name, None)

def ask(number):
    own = triton.InferenceServerClient("localhost:8000", network_timeout=30 + number % 100)
    infer(own, 10_000 * (1 + number % 20))

def pass_on(number):
    try:
        numbers.put(number, timeout=0.001)
    except queue.Full:
        numbers.get()

def compute(number):
    end = time.monotonic() + 0.005
    while time.monotonic() < end:
        pass

def infer(own, count):
    tensor = triton.InferInput("numbers", [count], "FP32")
    tensor.set_data_from_numpy(np.full(count, 7, np.float32))
    return own.infer("mean", [tensor]).as_numpy("mean").tolist()[0]

def state(_):
    write(0)
    for each in range(MODULES):
        assert importlib.import_module(f"lazy_{each}").whole
    idle = connections._idle[client.service_url].connections
    regions = shared_memory.regions(client.service_url)
    return {
        "pid": os.getpid(),
        "mean": infer(client, 100_000),
        "calls": connections._batch._calls,
        "connections": len(peers(client.service_url)) - len(idle),
        "known": [each.name for each in regions._idle] + list(regions._abandoned),
        "making": regions._making,
    }

def peers(url):
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{each}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(each))) as one:
                    found += ["%s:%d" % one.getpeername()[:2]] if one.family == socket.AF_INET else []
        except OSError:
            pass
    return [each for each in found if each == url]
""".replace("MODULES", str(MODULES))
LAZY = """
import time
end = time.monotonic() + 0.005
while time.monotonic() < end:
    pass
whole = True
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
def busy(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("busy")
    (root / "score.py").write_text(SCRIPT)
    for each in range(MODULES):
        (root / f"lazy_{each}.py").write_text(LAZY)
    (root / "triton/mean/1").mkdir(parents=True)
    (root / "triton/mean/1/model.py").write_text(MODEL)
    (root / "triton/mean/config.pbtxt").write_text(CONFIG)
    return start_module(APP_ROOT=root, MODEL_DIR=root).wait_ready()


def test_two_thousand_requests_that_are_cut_leave_nothing_behind(busy):
    """They log, import, ask Triton with large tensors, hand on numbers and compute, and are all cut."""
    before = busy.score("state").json()

    def cut(numbers: range) -> set[int]:
        statuses = set()
        with closing(http.client.HTTPConnection("127.0.0.1", busy.port, timeout=30)) as caller:
            for number in numbers:
                within = str(random.Random(number).randint(1, 25))
                caller.request("POST", "/score", f"busy {number}", {"x-request-timeout-ms": within})
                with caller.getresponse() as reply:
                    statuses.add(reply.status)
                    reply.read()
        return statuses

    with ThreadPoolExecutor(CALLERS) as pool:
        shares = [range(each, CUT, CALLERS) for each in range(CALLERS)]
        assert set().union(*pool.map(cut, shares)) <= {408, 504}
    after = busy.score("state").json()
    regions = requests.get(busy.triton_url + "/v2/systemsharedmemory/status", timeout=5).json()
    assert {each["name"] for each in regions} <= set(after.pop("known"))
    before.pop("known")
    assert after == before
    assert busy.metric("scoregate_requests_in_flight") == 0
