"""What is done to the service, and when."""

import math
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .questions import Outcome
from .service import Gone, Service

STOPPED_S = 10.0
MEAN_S = 6.0
CALM_S = 15.0  # after the last of the random ones, to see whether the service comes back
_RANDOM = random.Random(0)


class Moment(NamedTuple):
    """When a fault began: time.monotonic(), in s. kills_worker: requests inside of a worker were lost with it."""

    at: float
    kills_worker: bool = False


@dataclass(frozen=True)
class Fault:
    """A way to disturb the service.

    begin(service, number): do it for the number-th time, from 1 on. gaps(seconds): how long to wait after each, in s,
    so long in all at least. settings: the service's. provokes: what has to become of some requests.
    """

    begin: Callable[[Service, int], Moment]
    gaps: Callable[[float], list[float]]
    settings: Mapping[str, str] = field(default_factory=dict)
    provokes: tuple[Outcome, ...] = ()

    def apply(self, service: Service, seconds: float) -> list[Moment]:
        """Do it, again and again. A service that goes away has a problem."""
        moments: list[Moment] = []
        try:
            for number, gap in enumerate(self.gaps(seconds), 1):
                moments.append(self.begin(service, number))
                time.sleep(max(0.0, moments[-1].at + gap - time.monotonic()))
            service.require_running()
        except Gone as error:
            service.problems.append(str(error))
        return moments


def kill_triton(service: Service, _: int = 0) -> Moment:
    """Supervisord starts another."""
    return Moment(service.signal_one(service.triton, signal.SIGKILL).at)


def kill_worker(service: Service, _: int = 0) -> Moment:
    """Gunicorn's master starts another. It may hit one that does not score yet."""
    return Moment(service.signal_one(service.workers, signal.SIGKILL).at, kills_worker=True)


def kill_stub(service: Service, _: int) -> Moment:
    """Triton goes on, and says that it is ready."""
    return Moment(service.signal_one(service.stubs, signal.SIGKILL).at)


def stop_triton(service: Service, _: int) -> Moment:
    """Connections to it are accepted, but nobody answers."""
    stopped = service.signal_one(service.triton, signal.SIGSTOP)
    try:
        time.sleep(STOPPED_S)
    finally:
        if stopped.pid in service.triton():  # it may have been replaced
            service.signal_one(lambda: [stopped.pid], signal.SIGCONT)
    return Moment(stopped.at)


def kill_either(service: Service, _: int) -> Moment:
    """One or the other."""
    return _RANDOM.choice((kill_triton, kill_worker))(service)


def reload(service: Service, number: int) -> Moment:
    """Put another script in place."""
    service.write_script(number)
    return Moment(service.signal_one(service.master, signal.SIGHUP).at)


def every(gap_s: float) -> Callable[[float], list[float]]:
    """At regular times, once at least."""
    return lambda seconds: [gap_s] * max(1, math.ceil(seconds / gap_s))


def at_random(seconds: float) -> list[float]:
    """At moments that do not know of each other, the same ones each time."""
    gaps: list[float] = []
    while sum(gaps) < seconds:
        gaps.append(_RANDOM.expovariate(1 / MEAN_S))
    return [*gaps, CALM_S]


FAULTS = {
    "triton-kill": Fault(kill_triton, every(15)),
    "worker-kill": Fault(kill_worker, every(5)),
    "stub-kill": Fault(kill_stub, every(20)),
    "triton-stop": Fault(
        stop_triton,
        every(20),
        settings={"MAX_IN_FLIGHT": "24"},  # of a worker: places for 48 of the 64 callers
        provokes=(Outcome.BUSY, Outcome.TIMEOUT),
    ),
    "random": Fault(kill_either, at_random),
    "reload": Fault(reload, every(10)),
}
