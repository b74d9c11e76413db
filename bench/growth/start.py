"""How long the service takes from Triton being ready to its first answer."""

import functools
import time
from statistics import median

from .. import cases
from ..dialects import ask_plainly
from ..peers import scoregate
from ..ports import free_ports
from ..rows import prepare, start
from ..servers import post, triton_readiness
from .part import Figures, Part

STARTS = 5


def measure() -> Figures:
    """Start it some times; give medians."""
    case = cases.digits(())
    request = ask_plainly(case)
    triton_ready: list[float] = []
    after: list[float] = []
    for _ in range(STARTS):
        launch = prepare(scoregate.PEER, 1, case, free_ports(2))
        begun = time.monotonic()
        with start(scoregate.PEER, launch) as server:
            server.wait_for_200(functools.partial(triton_readiness, launch.triton_port))
            ready = time.monotonic()
            server.wait_for_200(functools.partial(post, launch.port, request))
            triton_ready.append(ready - begun)
            after.append(time.monotonic() - ready)
    return [
        {
            "starts": STARTS,
            "until Triton is ready s": median(triton_ready),
            "from then to the first 200 s": median(after),
            "the longest of them s": max(after),
        }
    ]


PART = Part("Start", "Medians; one worker, digits.", measure)
