"""python -m bench.hostile: what callers who misbehave cost those who do not, in latency and in memory."""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Iterator
from multiprocessing import Event, Process
from multiprocessing.synchronize import Event as EventType
from statistics import median

from . import wrk
from .chaos.questions import REQUEST
from .chaos.service import running
from .chaos.usage import Usage
from .dialects import Request

ROUNDS = 5
SECONDS = 5
CALLERS = 16
MOST_TIMES = 2  # the others' latency when they are alone
MOST_MIB = 64  # more than with nobody: of each of 1,000 connections what a worker receives at once, 64 KiB
HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\n"
SLOW_S = 1.0  # between two bytes of a slow head
CASES = {
    "idle": (1000, "connections that have had an answer and keep quiet"),
    "slow heads": (500, "a byte of the head each second"),
    "stalled bodies": (500, "a body of which one byte is missing"),
    "pipeline": (1, "20 requests at a time, before the answers are there"),
    "oversized": (16, "a header of 64 KiB, again and again"),
}


def main() -> None:
    """Measure callers alone and beside each kind of the others, in turn; print a table of medians.

    The exit code is 1 if one of these costs more than it may.
    """
    if wrk.is_missing():
        sys.exit(wrk.MISSING)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    request = Request("/score", REQUEST.read_bytes(), {})
    print(f"{CALLERS} callers of digits, two workers; medians of {ROUNDS} rounds of {SECONDS} s, each after one alone")
    print(f"{'beside':14} {'p50 ms':>7} {'x alone':>7} {'p99 ms':>7} {'x alone':>7} {'errors':>6} {'PSS MiB':>8}")
    problems: list[str] = []
    with running("hostile") as service:
        wrk.run(service.port, request, CALLERS, SECONDS)
        before = Usage.of(service).pss_mib
        print(f"{'nobody':14} {'':41}{before:8.0f}")
        for name, (count, _) in CASES.items():
            rounds = []
            for _ in range(ROUNDS):
                alone = wrk.run(service.port, request, CALLERS, SECONDS)
                with disturbed(name, count, service.port):
                    beside = wrk.run(service.port, request, CALLERS, SECONDS)
                    rounds.append((alone, beside, Usage.of(service).pss_mib))
            p50, p99 = (median(getattr(beside, each) for _, beside, _ in rounds) for each in ("p50_ms", "p99_ms"))
            x50, x99 = (
                median(getattr(beside, each) / getattr(alone, each) for alone, beside, _ in rounds)
                for each in ("p50_ms", "p99_ms")
            )
            errors = sum(beside.errors for _, beside, _ in rounds)
            pss = max(each for *_, each in rounds)
            print(f"{name:14} {p50:7.1f} {x50:7.2f} {p99:7.1f} {x99:7.2f} {errors:6} {pss:8.0f}", flush=True)
            problems += [f"{name}: {each}" for each in too_much(x50, x99, errors, pss - before)]
    problems += service.problems
    print("", *problems, sep="\n")
    sys.exit(bool(problems))


def too_much(x50: float, x99: float, errors: int, mib: float) -> Iterator[str]:
    """Name what others must not suffer. x50, x99: times the latency alone. mib: more of memory than with nobody."""
    for what, times in (("p50", x50), ("p99", x99)):
        if times > MOST_TIMES:
            yield f"{what} is {times:.2f} times that alone, more than {MOST_TIMES}"
    if errors:
        yield f"{errors} errors"
    if mib > MOST_MIB:
        yield f"{mib:.0f} MiB more than with nobody, more than {MOST_MIB}"


@contextlib.contextmanager
def disturbed(name: str, count: int, port: int) -> Iterator[None]:
    """Let so many of this kind be connected meanwhile, in a process of their own."""
    begun, over = Event(), Event()
    process = Process(target=_disturb, args=(name, count, port, begun, over))
    process.start()
    begun.wait()
    try:
        yield
    finally:
        over.set()
        process.join()


def _disturb(name: str, count: int, port: int, begun: EventType, over: EventType) -> None:
    asyncio.run(_all(name, count, port, begun, over))


async def _all(name: str, count: int, port: int, begun: EventType, over: EventType) -> None:
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    if name == "idle":
        for reader, writer in connections:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.read(4096)
    begun.set()
    tasks = [asyncio.create_task(_misbehave(name, port, *each)) for each in connections]
    while not over.is_set():
        await asyncio.sleep(0.1)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _misbehave(name: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = REQUEST.read_bytes()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if name == "stalled bodies":
        writer.write(whole[:-1])
    elif name == "slow heads":
        for at in range(len(whole)):
            writer.write(whole[at : at + 1])
            await asyncio.sleep(SLOW_S)
    elif name == "pipeline":
        while True:
            writer.write(whole * 20)
            for _ in range(20):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
    elif name == "oversized":
        while True:
            writer.write(HEAD + b"X: " + b"x" * 65536 + b"\r\n\r\n")
            with contextlib.suppress(OSError):
                while await reader.read(65536):
                    pass
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)


if __name__ == "__main__":
    main()
