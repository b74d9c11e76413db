"""The load: a process of its own with 64 callers, each asking again on its connection once it has its answer."""

import asyncio
import multiprocessing
import random
import re
import signal
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import NamedTuple, Self

from .questions import Outcome, Question, Questions, judge

CONNECTIONS = 64
ANSWER_S = 30.0  # an answer that takes longer does not come
RETRY_S = 0.05  # before another try of a connection that was refused
# Of the callers, each so many-th; every other one with large questions is impatient, too.
IMPATIENT = 8
LARGE = 12
STRAINED = 5
PATIENCE = b"x-request-timeout-ms: 2000\r\n"
# Of strained requests: the time that they allow, in ms; the part of them that hang up before it is over.
ALLOWED_MS = (5, 80)
HANG_UP = 0.25
_LENGTH = re.compile(r"\r\ncontent-length: *(\d+)\r\n")


@dataclass
class Record:
    """What became of the requests, in the order in which they ended.

    ended: time.monotonic() of each, in s, the same clock for all processes. outcomes: Outcomes. wrong: what was wrong,
    how often. scripts: the numbers of the scripts that answered.
    """

    ended: "array[float]" = field(default_factory=lambda: array("d"))
    outcomes: "array[int]" = field(default_factory=lambda: array("H"))
    wrong: Counter[str] = field(default_factory=Counter)
    scripts: set[int] = field(default_factory=set)

    def note(self, outcome: Outcome) -> None:
        """Add a request that ends now."""
        self.ended.append(time.monotonic())
        self.outcomes.append(outcome)

    def extend(self, later: Self) -> None:
        """Add what came later."""
        self.ended.extend(later.ended)
        self.outcomes.extend(later.outcomes)
        self.wrong += later.wrong
        self.scripts |= later.scripts


class Load:
    """The load on a port; `record` is there once the block has ended.

    until_refused: a caller whose connection is refused ends, as one does whom a load balancer sends elsewhere; else it
    tries again. strained: some callers let the script compute, log and import, and allow it little time or hang up.
    """

    record: Record

    def __init__(self, port: int, questions: Questions, until_refused: bool = False, strained: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._over = context.Event()
        self._result, result = context.Pipe(duplex=False)
        arguments = (_Manner(questions, until_refused, strained), port, self._over, result)
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        result.close()  # now the process has the only one, and recv() ends with it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the requests that are under way end."""
        self._over.set()
        self.record = self._result.recv()
        self._process.join()


class _Manner(NamedTuple):
    """How the callers ask."""

    questions: Questions
    until_refused: bool
    strained: bool


def _run(manner: _Manner, port: int, over: Event, result: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    result.send(asyncio.run(_call_all(_Caller(manner, port, over))))


async def _call_all(caller: "_Caller") -> Record:
    await asyncio.gather(*(caller.call(number) for number in range(CONNECTIONS)))
    return caller.record


class _Caller:
    def __init__(self, manner: _Manner, port: int, over: Event) -> None:
        self.record = Record()
        self._manner = manner
        self._port = port
        self._over = over
        self._random = random.Random(0)

    async def call(self, number: int) -> None:
        """Keep one connection, or a new one after each that ended, until the load is over."""
        questions = self._manner.questions.small if number % LARGE else self._manner.questions.large
        strained = self._manner.strained and not number % STRAINED
        patience = b"" if number % IMPATIENT else PATIENCE
        while not self._over.is_set():
            try:
                async with asyncio.timeout(ANSWER_S):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:  # TimeoutError is one. Nothing was sent, so nothing is lost
                if self._manner.until_refused:
                    return
                await asyncio.sleep(RETRY_S)
                continue
            while await self._ask(reader, writer, self._random.choice(questions), patience, strained):
                pass
            writer.close()

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        question: Question,
        patience: bytes,
        strained: bool,
    ) -> bool:
        """Ask once; tell whether the connection can go on."""
        if self._over.is_set() or reader.at_eof() or reader.exception():
            return False
        if strained:
            allowed_ms = self._random.randint(*ALLOWED_MS)
            writer.write(question.request(b"x-strain: on\r\nx-request-timeout-ms: %d\r\n" % allowed_ms))
            if self._random.random() < HANG_UP:
                await asyncio.sleep(self._random.uniform(0, allowed_ms / 1000))
                return False
        else:
            writer.write(question.request(patience))
        try:
            async with asyncio.timeout(ANSWER_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
        except TimeoutError:
            self.record.note(Outcome.HUNG)
            return False
        except (OSError, asyncio.IncompleteReadError):
            self.record.note(Outcome.LOST)
            return False
        outcome, problem, script = judge(question, int(head.split(" ", 2)[1]), head, body)
        self.record.note(outcome)
        if problem:
            self.record.wrong[problem] += 1
        if script is not None:
            self.record.scripts.add(script)
        return length is not None and "\r\nconnection: close\r\n" not in head
