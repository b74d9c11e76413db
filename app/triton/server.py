"""What the service itself asks Triton: which models it serves, and its metrics."""

from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

from ..errors import TritonUnavailable
from ..settings import Settings
from .client import InferenceServerClient

NOT_LOADED = "its config.pbtxt or its files are not what Triton expects, see Triton's lines in the log"
PROBE_TIMEOUT_S = 5.0  # a probe that takes longer is a failed one


class ModelState(NamedTuple):
    """One version of one model, as Triton's repository index tells it.

    state: READY, LOADING or UNAVAILABLE. A model that Triton did not try to load has none in the index;
    here it is UNAVAILABLE with version "-".
    Source: Triton's model repository extension, POST v2/repository/index.
    """

    name: str
    version: str
    state: str
    reason: str


class TritonServer:
    """The Triton of this service."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"127.0.0.1:{settings.triton_http_port}"
        self._metrics_port = settings.triton_metrics_port
        # Whoever takes loading into their own hands has models in the repository that are not to be served.
        self._loads_all = "--model-control-mode" not in settings.triton_extra_args
        self.may_be_empty = settings.allow_no_models
        self._client = InferenceServerClient(
            self.url, connection_timeout=PROBE_TIMEOUT_S, network_timeout=PROBE_TIMEOUT_S
        )

    def models(self) -> list[ModelState]:
        """List the models that are to be served. Raises TritonUnavailable, TritonTimeout."""
        models = []
        for each in self._client.get_model_repository_index():
            if each.get("state") == "UNLOADING" or each.get("reason") == "unloaded":
                continue  # a version that a newer one has replaced
            if "state" in each:
                # A Python backend's reason ends with its traceback.
                reason = each.get("reason", "").partition("\n\nAt:\n")[0]
                models.append(ModelState(each["name"], each["version"], each["state"], reason))
            elif self._loads_all:
                models.append(ModelState(each["name"], "-", "UNAVAILABLE", NOT_LOADED))
        return models

    def may_be_probed(self, model: str, version: str) -> bool:
        """Whether a request made up by us does no harm: the model keeps no state, answers once, and did not opt out.

        Raises TritonUnavailable, TritonTimeout. Source: Triton's model configuration.
        """
        config = self._client.get_model_config(model, version)
        opted_out = config.get("parameters", {}).get("READY_PROBE", {}).get("string_value", "").lower() == "off"
        decoupled = config.get("model_transaction_policy", {}).get("decoupled", False)
        return not (opted_out or decoupled or "sequence_batching" in config)

    def instances(self, model: str, version: str) -> int:
        """Count the model's instances. Raises TritonUnavailable, TritonTimeout."""
        groups = self._client.get_model_config(model, version).get("instance_group", [])
        return sum(each.get("count", 1) * max(len(each.get("gpus", [])), 1) for each in groups) or 1

    def answered(self, model: str, version: str) -> int:
        """Count the requests that the model has answered. Raises TritonUnavailable, TritonTimeout.

        Source: Triton's statistics extension.
        """
        statistics = self._client.get_inference_statistics(model, version)["model_stats"]
        return sum(each["inference_stats"]["success"]["count"] for each in statistics)

    def metrics(self) -> bytes:
        """Read Triton's own metrics, in the Prometheus text format. Raises TritonUnavailable."""
        connection = HTTPConnection("127.0.0.1", self._metrics_port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            if response.status != 200:
                raise HTTPException(f"status {response.status}")
            return response.read()
        except (OSError, HTTPException) as error:
            raise TritonUnavailable(f"No metrics from Triton: {error}.") from error
        finally:
            connection.close()
