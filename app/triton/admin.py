"""What the service itself asks Triton: which models it serves, and its metrics."""

import argparse
import http.client
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..errors import ScoringError, TritonUnavailable
from ..settings import Settings
from .client import InferenceServerClient
from .failures import Refused, explain, unreachable
from .wanted import UNLOADED, ModelState, WantedModels

NOT_LOADED = "its config.pbtxt or its files are not what Triton expects, see Triton's lines in the log"
NOT_TOLD = "nobody has loaded it since Triton was started"
PROBE_TIMEOUT_S = 5.0  # a probe that takes longer is a failed one
LOAD_TIMEOUT_S = 3600.0

# Those of Triton's own flags that say which models it loads.
FLAGS = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
FLAGS.add_argument("--model-control-mode", default="none", dest="mode", nargs="?")
FLAGS.add_argument("--load-model", default=[], dest="models", action="append", nargs="?")


class TritonServer:
    """The Triton of this service."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"127.0.0.1:{settings.triton_http_port}"
        self._metrics_url = f"127.0.0.1:{settings.triton_metrics_port}"
        flags, _ = FLAGS.parse_known_args(shlex.split(settings.triton_extra_args))
        # Whoever takes loading into their own hands has models in the repository that are not to be served.
        self._loads_all = flags.mode == "none"
        self.loads_when_told = flags.mode == "explicit"
        self._loads_at_start = set(flags.models) if self.loads_when_told and "*" not in flags.models else None
        self.may_be_empty = settings.allow_no_models or self.loads_when_told
        self.wanted = WantedModels(Path(tempfile.gettempdir(), "models"))

    def models(self) -> list[ModelState]:
        """List the models that there are, served or not. Raises TritonUnavailable, TritonTimeout."""
        models = []
        for each in self._ask("POST", "v2/repository/index"):
            if "state" in each:
                # A Python backend's reason ends with its traceback.
                reason = each.get("reason", "").partition("\n\nAt:\n")[0]
                models.append(ModelState(each["name"], each["version"], each["state"], reason))
            elif self.loads_when_told:
                models.append(ModelState(each["name"], "-", "", NOT_TOLD))
            else:
                models.append(ModelState(each["name"], "-", "UNAVAILABLE" if self._loads_all else "", NOT_LOADED))
        return models

    def missing(self, models: Sequence[ModelState]) -> list[ModelState]:
        """List what has to be ready and is not. models: what models() told. Raises TritonUnavailable, TritonTimeout."""
        return self.wanted.missing(models, self._is_ready)

    def failed(self, models: Sequence[ModelState]) -> list[ModelState]:
        """List the models that Triton was to load at its start, and could not."""
        loads = self._loads_at_start  # None: all
        return [
            each
            for each in models
            if each.state == "UNAVAILABLE" and each.reason != UNLOADED and (loads is None or each.name in loads)
        ]

    def load_again(self, model: str) -> None:
        """Load a model as it was. Raises Refused, TritonUnavailable, TritonTimeout."""
        client = InferenceServerClient(self.url, network_timeout=LOAD_TIMEOUT_S)
        client.load_model(model, **self.wanted.how_to_load(model))

    def may_be_probed(self, model: str, version: str) -> bool:
        """Whether a request made up by us does no harm: the model keeps no state, answers once, and did not opt out.

        Raises TritonUnavailable, TritonTimeout. Source: Triton's model configuration.
        """
        config = self._config(model, version)
        opted_out = config.get("parameters", {}).get("READY_PROBE", {}).get("string_value", "").lower() == "off"
        decoupled = config.get("model_transaction_policy", {}).get("decoupled", False)
        return not (opted_out or decoupled or "sequence_batching" in config)

    def instances(self, model: str, version: str) -> int:
        """Count the model's instances. Raises TritonUnavailable, TritonTimeout."""
        groups = self._config(model, version).get("instance_group", [])
        return sum(each.get("count", 1) * max(len(each.get("gpus", [])), 1) for each in groups) or 1

    def parts(self, model: str) -> set[str]:
        """List the models that a request to one is for: itself, and those that an ensemble asks."""
        found = {model}
        with suppress(ScoringError):
            steps = self._config(model).get("ensemble_scheduling", {}).get("step", [])
            return found.union(*(self.parts(each["model_name"]) for each in steps))
        return found

    def answered(self, model: str, version: str) -> int:
        """Count the requests that the model has answered. Raises TritonUnavailable, TritonTimeout.

        Source: Triton's statistics extension.
        """
        statistics = self._ask("GET", f"{_of(model, version)}/stats")["model_stats"]
        return sum(each["inference_stats"]["success"]["count"] for each in statistics)

    def metrics(self) -> bytes:
        """Read Triton's own metrics, in the Prometheus text format. Raises TritonUnavailable."""
        try:
            return _read(self._metrics_url, "GET", "metrics")
        except ScoringError as error:
            raise TritonUnavailable(f"No metrics from Triton: {error.sentence}") from error

    def _is_ready(self, model: str) -> bool:
        try:
            _read(self.url, "GET", f"{_of(model)}/ready")
        except Refused:
            return False
        return True

    def _config(self, model: str, version: str = "") -> dict[str, Any]:
        return dict(self._ask("GET", f"{_of(model, version)}/config"))

    def _ask(self, method: str, uri: str) -> Any:  # noqa: ANN401 - what Triton's JSON says
        return orjson.loads(_read(self.url, method, uri))


def _of(model: str, version: str = "") -> str:
    return f"v2/models/{quote(model)}{f'/versions/{version}' if version else ''}"


def _read(address: str, method: str, uri: str) -> bytes:
    """Ask Triton, on a connection of its own: while it loads a model, those that it had before are not answered.

    Raises Refused, Failed, TritonUnavailable, TritonTimeout.
    """
    connection = http.client.HTTPConnection(address, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request(method, f"/{uri}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(uri, error) from error
    finally:
        connection.close()
    if response.status != 200:
        raise explain(InferenceServerException(body.decode(errors="replace"), str(response.status)))
    return body
