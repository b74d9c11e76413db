"""What the service itself asks Triton: which models it serves, and its metrics."""

import http.client
import urllib.error
import urllib.request
from typing import NamedTuple

from ..errors import TritonUnavailable
from .client import InferenceServerClient

PROBE_TIMEOUT_S = 5.0  # a probe that takes longer is a failed one


class ModelState(NamedTuple):
    """One version of one model, as Triton's repository index tells it.

    state: READY, LOADING, UNLOADING, UNAVAILABLE, or empty for a model that nobody asked to load.
    Source: Triton's model repository extension, POST v2/repository/index.
    """

    name: str
    version: str
    state: str
    reason: str


class TritonServer:
    """The Triton of this service."""

    def __init__(self, http_port: int, metrics_port: int) -> None:
        self.url = f"127.0.0.1:{http_port}"
        self._metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._client = InferenceServerClient(
            self.url, connection_timeout=PROBE_TIMEOUT_S, network_timeout=PROBE_TIMEOUT_S
        )

    def models(self) -> list[ModelState]:
        """List the models of the repository. Raises TritonUnavailable, TritonTimeout."""
        return [
            ModelState(each["name"], each.get("version", ""), each.get("state", ""), each.get("reason", ""))
            for each in self._client.get_model_repository_index()
        ]

    def metrics(self) -> bytes:
        """Read Triton's own metrics, in the Prometheus text format. Raises TritonUnavailable."""
        try:
            with urllib.request.urlopen(self._metrics_url, timeout=PROBE_TIMEOUT_S) as response:  # noqa: S310
                return bytes(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise TritonUnavailable(f"No metrics from Triton: {error}.") from error
