"""The tiny inference by which the service finds out whether a model answers."""

from ..eventloop.deadline import Deadline, current
from .client import InferenceServerClient
from .connections import FreshConnections
from .model import TritonModel
from .shared_memory import Regions

ANSWER_MS = 30_000  # a model that takes longer, and answers nobody meanwhile, is a failed one


class Probe(TritonModel):
    """A model that is asked about nothing, on connections and with memory that no request of a script uses."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version)
        self._connections = FreshConnections(InferenceServerClient.service_url)
        self._regions = _NoRegions()

    def ask(self) -> None:
        """Ask once. Raises as TritonModel does."""
        outer = current.set(Deadline(ANSWER_MS, of_client=False))
        try:
            self(**self.zeros())
        finally:
            current.reset(outer)

    def _takes_timeout(self) -> bool:
        return False


class _NoRegions(Regions):
    def __init__(self) -> None:
        """Have none."""

    def through(self, *_: object) -> None:
        """Have all tensors sent."""
