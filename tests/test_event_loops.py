"""A script that runs coroutines by itself: right each time, whoever else does so at that moment."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from service import wait_until

SCRIPT = """
import asyncio
import os
import threading
import time

SIDE_BY_SIDE = 8
inside = 0

def init():
    global turning, own, asked
    turning = asyncio.new_event_loop()
    threading.Thread(target=turn, daemon=True).start()
    asked = asyncio.Queue()
    own = asyncio.new_event_loop()
    own.run_until_complete(asked.put("from init()"))
    assert asyncio.run(asyncio.sleep(0, "init")) == "init"

def turn():
    asyncio.set_event_loop(turning)
    turning.run_forever()

def run(data):
    what, _, which = data.partition(" ")
    return globals()[what](which)

async def echo(value):
    global inside
    inside += 1
    for _ in range(1000):
        await asyncio.sleep(0.005)
        if inside % SIDE_BY_SIDE == 0:
            break
    return value

async def in_executor(value):
    threads = await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.05) for _ in range(3)), blocking())
    return [value, len(threads)]

async def blocking():
    time.sleep(0.05)

def runs(value):
    return asyncio.run(echo(value))

def runner(value):
    with asyncio.Runner() as own_runner:
        return [own_runner.run(echo(value)), own_runner.run(asyncio.sleep(0, value))]

def loop(value):
    one = asyncio.new_event_loop()
    try:
        return one.run_until_complete(echo(value))
    finally:
        one.close()

def handed(value):
    return asyncio.run_coroutine_threadsafe(echo(value), turning).result()

def executor(value):
    return asyncio.run(in_executor(value))

def shared(value):
    return own.run_until_complete(asyncio.sleep(0.01, value))

def default(value):
    return asyncio.get_event_loop().run_until_complete(asyncio.sleep(0.01, value))

def stream(port):
    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET /health/live HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer[:15].decode()
    return asyncio.run(ask())

def waits(_):
    asyncio.run(asyncio.sleep(30))

def blocks(_):
    async def block():
        time.sleep(30)
    asyncio.run(block())

def computes(_):
    async def compute():
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass
    asyncio.run(compute())

def fails(_):
    async def fail():
        raise ValueError("in a coroutine")
    asyncio.run(fail())

def descriptors(_):
    return [os.getpid(), len(os.listdir("/proc/self/fd"))]
"""
SIDE_BY_SIDE = 8


@pytest.fixture(scope="module")
def service(start_module, tmp_path_factory):
    root = tmp_path_factory.mktemp("loops")
    (root / "score.py").write_text(SCRIPT.replace("SIDE_BY_SIDE = 8", f"SIDE_BY_SIDE = {SIDE_BY_SIDE}"))
    return start_module(APP_ROOT=root, TRITON="off").wait_ready()


def at_once(service, bodies):
    with ThreadPoolExecutor(len(bodies)) as pool:
        return [each.json() for each in pool.map(service.score, bodies)]


@pytest.mark.parametrize("how", ["runs", "runner", "loop", "handed"])
def test_coroutines_run_side_by_side(service, how):
    """Each waits until all are inside."""
    for _ in range(3):
        answers = at_once(service, [f"{how} {each}" for each in range(SIDE_BY_SIDE)])
        assert answers == [[str(each)] * 2 if how == "runner" else str(each) for each in range(SIDE_BY_SIDE)]


def test_all_ways_at_once(service):
    ways = ["runs", "runner", "loop", "handed", "executor", "shared", "default", "stream"]
    right = {"runner": lambda each: [each, each], "executor": lambda each: [each, 4]}
    for number in range(3):
        bodies = [f"{way} {service.port if way == 'stream' else number}" for way in ways * 2]
        answers = at_once(service, bodies)
        for way, answer in zip(ways * 2, answers, strict=True):
            expected = right.get(way, lambda each: each)(str(number))
            assert answer == ("HTTP/1.1 200 OK" if way == "stream" else expected), way


@pytest.mark.parametrize("how", ["waits", "blocks", "computes"])
def test_a_coroutine_that_is_late_is_ended(service, how):
    pid, before = service.score("descriptors").json()
    for _ in range(3):
        assert service.score(how, headers={"x-request-timeout-ms": "300"}).json()["code"] == "deadline_exceeded"
        assert service.score("default x").json() == "x"
    wait_until(lambda: service.score("descriptors").json() <= [pid, before], 10, "no more descriptors", service.log)
    assert service.score("descriptors").json()[0] == pid


def test_what_a_coroutine_raises_is_the_script_s_failure(service):
    assert service.score("fails").json()["code"] == "script_failed"
    assert "ValueError: in a coroutine" in service.wait_log("in a coroutine")


ASYNC = """
import asyncio
import time

def init():
    pass

async def run(data):
    if data == "computes":
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass
    if data == "waits":
        await asyncio.sleep(30)
    if data == "in a thread":
        return await asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(0.1, data)))
    await asyncio.sleep(0.3)
    return data
"""


def test_a_run_that_is_a_coroutine_is_ended_beside_others_that_are_not(start, tmp_path):
    (tmp_path / "score.py").write_text(ASYNC)
    service = start(APP_ROOT=tmp_path, TRITON="off").wait_ready()
    bodies = ["a", "computes", "b", "waits", "in a thread"] * 2
    with ThreadPoolExecutor(len(bodies)) as pool:
        replies = list(pool.map(lambda body: service.score(body, headers={"x-request-timeout-ms": "2000"}), bodies))
    for body, reply in zip(bodies, replies, strict=True):
        # While others compute, the time may be over before the worker has received a body: 408.
        assert reply.json() == body if reply.ok else reply.status_code in (408, 504), reply.text
        if body in ("computes", "waits"):
            assert not reply.ok
    assert service.score("in a thread").json() == "in a thread"
