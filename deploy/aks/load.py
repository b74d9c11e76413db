"""The load of prove.py, inside the cluster: callers that keep their connections, and a look at each pod by itself.

Standard library only: it runs in the service's own image, `python3 -c` its text. First line of stdin: how to ask. Each
further one: the addresses that callers may choose from, and all pods by name. At its end: the record, to stdout.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

CALLERS = 8
PAUSE_S = 0.02  # of a caller between an answer and its next request
LOOK_S = 0.1  # between two requests to a pod by itself
ANSWER_S = 30.0  # an answer that takes longer does not come
CONNECT_S = 3.0
# A load balancer hears of a pod that goes a little later than the API server; so long it is still chosen.
LATE_S = 1.0
_LENGTH = re.compile(r"\r\ncontent-length: *(\d+)\r\n")

Address = tuple[str, int]
Answer = tuple[str, bool]  # what came of a request, and whether its connection can go on


@dataclass
class Question:
    """All bytes of the request, and a text that the right answer has."""

    request: bytes
    right: str


@dataclass
class Record:
    """outcomes: what became of requests, how often; "right" if all is well. refused: connections. looks: for each pod,
    [seconds since the epoch, outcome] wherever the outcome is another one than before, until its port is closed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    longest_s: float = 0.0
    looks: dict[str, list[tuple[float, str]]] = field(default_factory=dict)


class Load:
    """The callers; `addresses` says until when each may be chosen."""

    def __init__(self, question: Question) -> None:
        self.record = Record()
        self._question = question
        self._addresses: dict[Address, float] = {}
        self._over = asyncio.Event()
        self._tasks = [asyncio.create_task(self._call()) for _ in range(CALLERS)]

    def tell(self, chosen: list[Address], pods: dict[str, Address]) -> None:
        """Say which addresses callers choose from, and which pods to look at."""
        now = time.monotonic()
        for address in self._addresses:
            if address not in chosen:
                self._addresses[address] = min(self._addresses[address], now + LATE_S)
        self._addresses |= dict.fromkeys(chosen, float("inf"))
        for name, address in pods.items():
            if name not in self.record.looks:
                self.record.looks[name] = []
                self._tasks.append(asyncio.create_task(self._look(address, self.record.looks[name])))

    async def end(self) -> Record:
        """Let the requests that are under way end."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        return self.record

    async def _call(self) -> None:
        """Keep one connection, or a new one to another address after each that ended, until the load is over."""
        while not self._over.is_set():
            alive = [each for each, until in self._addresses.items() if until > time.monotonic()]
            if not alive:
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(*random.choice(alive))  # noqa: S311
            except OSError:  # TimeoutError is one. Nothing was sent, so nothing is lost
                self.record.refused += 1
                await asyncio.sleep(PAUSE_S)
                continue
            goes_on = True
            while goes_on and not self._over.is_set():
                begin = time.monotonic()
                outcome, goes_on = await self._ask(reader, writer)
                self.record.outcomes[outcome] += 1
                self.record.longest_s = max(self.record.longest_s, time.monotonic() - begin)
                await asyncio.sleep(PAUSE_S)
            writer.close()

    async def _look(self, address: Address, looks: list[tuple[float, str]]) -> None:
        while not self._over.is_set():
            at = time.time()
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(*address)
                outcome, _ = await self._ask(reader, writer)
                writer.close()
            except OSError:
                outcome = "refused"
            if not looks or looks[-1][1] != outcome:
                looks.append((at, outcome))
            if outcome == "refused" and len(looks) > 1 and looks[-2][1] == "right":
                return  # on its way out; another pod may get its address
            await asyncio.sleep(LOOK_S)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(self._question.request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = _LENGTH.search(head)
                body = (await reader.readexactly(int(length[1])) if length else b"").decode()
        except TimeoutError:
            return "hung", False
        except (OSError, asyncio.IncompleteReadError):
            return "lost", False
        status = head.split(" ", 2)[1]
        outcome = "right" if status == "200" and self._question.right in body else f"{status} {body[:80]}"
        return outcome, length is not None and "\r\nconnection: close\r\n" not in head


async def main() -> None:
    """Read what to do from stdin, line by line."""
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    asked = json.loads(await stdin.readline())
    body = asked["body"].encode()
    head = f"POST /score HTTP/1.1\r\nHost: scoregate\r\nAuthorization: Bearer {asked['key']}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    load = Load(Question(request, asked["right"]))
    async for line in stdin:
        told = json.loads(line)
        load.tell([tuple(each) for each in told["chosen"]], {name: tuple(each) for name, each in told["pods"].items()})
    record = await load.end()
    sys.stdout.write(json.dumps(record.__dict__) + "\n")


asyncio.run(main())
