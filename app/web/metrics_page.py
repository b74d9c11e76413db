"""The metrics page: what this service's processes have counted, then Triton's own."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ..errors import TritonUnavailable
from ..telemetry import metric_files
from ..triton import TritonServer


class _TritonUp(Collector):
    """A gauge found out while the page is written; one of Gauge would be kept in the files for each process."""

    def __init__(self, up: bool) -> None:
        self._up = up

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("scoregate_triton_up", "1 when Triton gave its metrics, else 0.", value=self._up)


def page(triton: TritonServer | None) -> bytes:
    """Write the metrics of all processes, then Triton's (nv_*), in the Prometheus text format."""
    metric_files.put_back()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    if not triton:
        return generate_latest(registry)
    try:
        theirs = triton.metrics()
    except TritonUnavailable:
        theirs = b""
    registry.register(_TritonUp(bool(theirs)))
    return generate_latest(registry) + theirs
