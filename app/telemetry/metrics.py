"""Every metric: name, unit, labels, help text; and the page that shows them with Triton's own."""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace

import gevent
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import mark_process_dead

from . import metric_files

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# At each count prometheus_client asks whose file it goes to; asking the kernel took 4 % of a worker's time.
_process = SimpleNamespace(pid=os.getpid())
os.register_at_fork(after_in_child=lambda: setattr(_process, "pid", os.getpid()))
values.ValueClass = values.MultiProcessValue(lambda: _process.pid)  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one process. Every process writes its own file; the page adds them up.

    Source: prometheus_client's multiprocess mode, which finds the files' directory in PROMETHEUS_MULTIPROC_DIR.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        registry = CollectorRegistry()  # never read: the page reads the files of all processes
        self.requests = Counter(
            "scoregate_requests",
            "Requests, by route and by the HTTP status sent, client_gone or broken.",
            ["route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "scoregate_request_seconds",
            "Time from the request's headers to its answer, in seconds.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.script_seconds = Histogram(
            "scoregate_script_seconds",
            "Time inside the entry script's run(), waiting for Triton included, in seconds.",
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "scoregate_requests_in_flight",
            "Requests inside the entry script's run() at this moment.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.worker_restarts = Counter(
            "scoregate_worker_restarts", "Workers that died and were replaced.", registry=registry
        )
        build = Gauge(
            "scoregate_build_info",
            "Always 1; the labels tell the versions.",
            ["version", "python", "tritonclient"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        build.labels(version("scoregate"), platform.python_version(), version("tritonclient")).set(1)

    def script_entered(self) -> None:
        """Count a call of run() as under way."""
        self.in_flight.inc()

    def script_left(self, seconds: float) -> None:
        """Count and time a call of run() that has ended."""
        _soon(self._script_left, seconds)

    def _script_left(self, seconds: float) -> None:
        self.script_seconds.observe(seconds)
        self.in_flight.dec()

    def put_back(self) -> None:
        """Write the files anew if somebody has removed them."""
        metric_files.put_back()

    def worker_gone(self, pid: int) -> None:
        """Forget the gauges of a worker that has ended."""
        mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def answered(self, route: str, outcome: str, seconds: float) -> None:
        """Count and time a request. route: the route's path, never the request's, so that labels stay few."""
        series = self._series.get((route, outcome))
        if not series:  # labels() takes as long as what follows
            series = self.requests.labels(route, outcome), self.request_seconds.labels(route)
            self._series[route, outcome] = series
        series[0].inc()
        series[1].observe(seconds)


def _soon(count: Callable[..., None], *args: object) -> None:
    """Count once the event loop goes on, so that the answer is sent first."""
    gevent.get_hub().loop.run_callback(count, *args)
