"""Whether Triton's batches are as large behind the service as without it, with as many requests inside of Triton."""

import dataclasses
from statistics import median
from typing import NamedTuple, Self

import requests

from .. import cases, wrk
from ..dialects import Request, ask_as_v2, ask_plainly
from ..peer import Launch
from ..peers import scoregate
from .part import Figures, Part, alone

CONNECTIONS = (16, 64)
ROUNDS = 3
SECONDS = 4


class Statistics(NamedTuple):
    """Triton's, of one model. seconds: that all requests together have spent inside of it."""

    requests: int
    executions: int
    seconds: float

    @classmethod
    def of(cls, launch: Launch) -> Self:
        """Ask Triton. Source: its statistics extension."""
        url = f"http://127.0.0.1:{launch.triton_port}/v2/models/{launch.case.model}/stats"
        (told,) = requests.get(url, timeout=5).json()["model_stats"]
        seconds = told["inference_stats"]["success"]["ns"] / 1e9
        return cls(told["inference_count"], told["execution_count"], seconds)


def measure() -> Figures:
    """Ask the service, then its Triton: with as many callers as there were requests inside of it, and with all."""
    peer = dataclasses.replace(scoregate.OWN, workers=(1,))
    figures: Figures = []
    for binary in (False, True):
        with alone(peer, cases.mid(CONNECTIONS, binary)) as row:
            launch = row.launch
            through, straight = ask_plainly(launch.case), ask_as_v2(cases.mid((), binary=True))  # as the service asks
            for connections in CONNECTIONS:
                rounds = []
                for _ in range(ROUNDS):
                    inside, batch = asked(launch, launch.port, through, connections)
                    _, as_many = asked(launch, launch.triton_port, straight, max(1, round(inside)))
                    _, all_of_them = asked(launch, launch.triton_port, straight, connections)
                    rounds.append((inside, batch, as_many, all_of_them, batch / as_many))
                names = ("requests in Triton", "mean batch", "straight, as many", "straight, all", "ratio to as many")
                middles = map(median, zip(*rounds, strict=True))
                figures.append(
                    {"body": launch.case.name, "connections": connections, **dict(zip(names, middles, strict=True))}
                )
    return figures


def asked(launch: Launch, port: int, request: Request, connections: int) -> tuple[float, float]:
    """Ask, and tell how many requests were inside of Triton on average, and its mean batch."""
    before = Statistics.of(launch)
    load = wrk.run(port, request, connections, SECONDS)
    after = Statistics.of(launch)
    count = after.requests - before.requests
    inside = load.requests_per_s * (after.seconds - before.seconds) / count  # Little's law
    return inside, count / (after.executions - before.executions)


PART = Part(
    "Batching",
    "One worker, the small call, the CNN. Behind the service, some requests are in the service and not in Triton. "
    "Its mean batch with as many callers as there were requests inside of it tells what was to be had.",
    measure,
)
