"""What a request costs by the size of its body, beside the same tensor sent straight to Triton."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any

from .. import cases
from ..dialects import Request, ask_plainly
from .connection import Connection
from .part import Figures, Part, alone, services

SIZES = (16, 256, 4 * 2**10, 64 * 2**10, 588 * 2**10, 2 * 2**20, 4 * 2**20, 12 * 2**20)
LEAST_REQUESTS = 10
SECONDS = 2.0


def measure() -> Figures:
    """Time requests one by one."""
    figures: Figures = []
    for peer in services():
        with alone(peer, cases.mean(16)) as row:
            for size in SIZES:
                ways = (
                    (row.launch.port, ask_plainly(cases.mean(size))),
                    (row.launch.triton_port, straight_to_triton(size)),
                )
                through, straight = middles_ms(ways)
                figures.append(
                    {
                        "service": peer.name,
                        "body bytes": size,
                        "through it ms": through,
                        "straight ms": straight,
                        "ratio": through / straight,
                    }
                )
    return figures


def middles_ms(ways: Sequence[tuple[int, Request]]) -> list[float]:
    """The median time of each request to its port, in milliseconds; asked in turn, so that a slow moment hits all."""
    with ExitStack() as stack:
        opened = [(stack.enter_context(Connection(port)), request) for port, request in ways]
        for connection, request in opened:
            connection.ask(request)
        taken: list[list[float]] = []
        end = time.monotonic() + SECONDS
        while len(taken) < LEAST_REQUESTS or time.monotonic() < end:
            taken.append([connection.ask(request) for connection, request in opened])
        return [median(each) * 1000 for each in zip(*taken, strict=True)]


def straight_to_triton(size: int) -> Request:
    """The same tensor in Triton's binary form."""
    tensor = {"name": "numbers", "shape": [size // 4], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    outputs = [{"name": "mean", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Request("/v2/models/mean/infer", head + bytes(size), headers)


def draw(axes: Any, figures: Figures) -> None:  # noqa: ANN401
    """Time over size, both logarithmic."""
    for service in dict.fromkeys(each["service"] for each in figures):
        of_service = [each for each in figures if each["service"] == service]
        sizes = [each["body bytes"] for each in of_service]
        axes.plot(sizes, [each["through it ms"] for each in of_service], "o-", label=service)
        axes.plot(
            sizes, [each["straight ms"] for each in of_service], "x--", label=f"straight to the Triton of {service}"
        )
    axes.set(xscale="log", yscale="log", xlabel="body, bytes", ylabel="time of a request, ms")
    axes.legend(fontsize=7)


PART = Part("Size", "Time of one request over the size of its tensor, through the service and without.", measure, draw)
