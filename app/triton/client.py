"""The Triton client that entry scripts get: tritonclient's own, with clear failures and without a queue."""

import http.client
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar
from urllib.parse import quote

import tritonclient.http  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..eventloop.deadline import current
from .connections import Connections, succeeded
from .failures import Refused, explain, unreachable
from .shared_memory import Place, regions
from .upstream_types import InferInput, InferResult
from .wanted import WantedModels

# Upstream's default of 1 makes the greenlets of a worker take turns on one socket: Triton never sees two requests at
# once and cannot batch. Connections open on demand, so a high limit costs nothing until it is used.
CONNECTIONS = 512

# Where scripts written for Azure ML look for Triton. They are sent to this service's own, wherever that listens; the
# address also spares the look-up of "localhost", which tries ::1 first, where Triton does not listen.
CUSTOMARY_URLS = ("localhost:8000", "127.0.0.1:8000")

ALL_IN_BINARY = {"parameters": {"binary_data_output": True}}  # of a request that names no outputs
TIMEOUT_AT = 7  # the place of `timeout` in infer(), after model_name and inputs
KNOWN_S = 10.0  # for how long a model's queue policy is taken for what it was


class InferenceServerClient(tritonclient.http.InferenceServerClient):  # type: ignore[misc]
    """tritonclient.http.InferenceServerClient with the same signature and three differences.

    The customary address means this service's Triton. As many connections are opened as requests run side by side
    (upstream: 1). Failures are of classes that this service can answer, derived from what upstream raises, so that a
    script's own `except` goes on working: InferenceServerException, TimeoutError, ConnectionError.
    """

    service_url: ClassVar[str] = "127.0.0.1:8000"
    wanted: ClassVar[WantedModels | None] = None

    def __init__(
        self,
        url: str,
        verbose: bool = False,
        concurrency: int = CONNECTIONS,
        connection_timeout: float = 60.0,
        network_timeout: float = 60.0,
        max_greenlets: int | None = None,
        ssl: bool = False,
        *args: Any,  # noqa: ANN401 - the rest is upstream's
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        self._closed = True  # for upstream's __del__, should its __init__ raise
        url = address(url)
        super().__init__(
            url, verbose, concurrency, connection_timeout, network_timeout, max_greenlets, ssl, *args, **kwargs
        )
        self._is_of_service = url == self.service_url and not ssl
        if self._is_of_service:
            self._client_stub = Connections(url, connection_timeout, network_timeout)

    @property
    def _is_plain(self) -> bool:
        """Whether nothing is done to requests on their way, and nothing printed."""
        return self._is_of_service and not self._verbose and self.plugin() is None

    def _get(self, request_uri: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return super()._get(request_uri, *args, **kwargs)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(request_uri, error) from error

    def _post(self, request_uri: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return super()._post(request_uri, *args, **kwargs)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(request_uri, error) from error

    def infer(self, model_name: str, inputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Ask one model once, as upstream's infer().

        Where the model's queue policy allows, it waits in Triton's queue no longer than the scoring request has time.
        Large tensors go through shared memory.
        Raises Refused naming what the model takes and what was sent, Failed, Busy, QueueFull, QueueTimeout,
        Unreachable, TimedOut.
        Source: Open Inference Protocol, POST v2/models/{model}/infer.
        """
        if self._is_of_service and len(args) <= TIMEOUT_AT and kwargs.get("timeout") is None:
            version = args[0] if args else kwargs.get("model_version", "")
            with suppress(InferenceServerException):  # no such model: that infer() will tell
                if takes_timeout(model_name, version):
                    kwargs["timeout"] = time_left_us()
        result = None
        tensors = [each._get_binary_data() or b"" for each in inputs]
        if self._is_of_service and all(tensors):
            result = regions(self.service_url).through(
                tensors, lambda places: self._ask(model_name, list(map(in_place, inputs, places)), *args, **kwargs)
            )
        return result or self._ask(model_name, inputs, *args, **kwargs)

    def _ask(self, model_name: str, inputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            if self._is_plain and not args and kwargs.keys() <= {"outputs"}:
                return self._ask_plainly(model_name, inputs, **kwargs)
            return super().infer(model_name, inputs, *args, **kwargs)
        except InferenceServerException as error:
            failure = explain(error)
            if type(failure) is Refused:
                sent = ", ".join(f"{each.name()} {each.datatype()} {list(each.shape())}" for each in inputs)
                raise Refused(
                    f"{failure.sentence} {self._signature(model_name)}The request sent {sent}.", error.status()
                ) from error
            raise failure from error

    def _ask_plainly(self, model_name: str, inputs: Sequence[Any], outputs: Sequence[Any] = ()) -> Any:  # noqa: ANN401
        """Do what upstream's infer() does, in less than half its time, where it is asked for nothing else."""
        tensors = [each._get_tensor() for each in inputs]
        if any("data" in each for each in tensors):
            return super().infer(model_name, inputs, outputs=outputs)
        wanted = {"outputs": [each._get_tensor() for each in outputs]} if outputs else ALL_IN_BINARY
        sent = [data for each in inputs if (data := each._get_binary_data())]
        uri = f"v2/models/{quote(model_name)}/infer"
        head = self._client_stub.inference_head(f"/{uri}", {"inputs": tensors} | wanted, sum(map(len, sent)))
        try:
            response = self._client_stub.call(head, *sent)
        except OSError as error:
            raise unreachable(uri, error) from error
        return InferResult(succeeded(response), False)

    def load_model(
        self,
        model_name: str,
        headers: Mapping[str, Any] | None = None,
        query_params: Mapping[str, Any] | None = None,
        config: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Have Triton load a model, as upstream's. It is loaded again when Triton was started anew.

        Raises Refused for a model that there is not, or that cannot be loaded, Busy, Unreachable, TimedOut.
        """
        try:
            super().load_model(model_name, headers, query_params, config, files)
        except InferenceServerException as error:
            raise not_loaded(model_name, error) from error
        if self._is_of_service and self.wanted:
            self.wanted.loaded(model_name, config, files)

    def unload_model(self, model_name: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Have Triton unload a model, as upstream's."""
        super().unload_model(model_name, *args, **kwargs)
        if self._is_of_service and self.wanted:
            self.wanted.unloaded(model_name)

    def _signature(self, model_name: str) -> str:
        try:
            metadata = self.get_model_metadata(model_name)
        except InferenceServerException:  # no such model: what Triton said is all there is to say
            return ""
        takes = ", ".join(f"{each['name']} {each['datatype']} {each['shape']}" for each in metadata["inputs"])
        return f"Model {model_name!r} takes {takes}. "


def in_place(tensor: Any, place: Place) -> Any:  # noqa: ANN401
    """Make an InferInput like this one, whose data lies where Triton reads it."""
    made = InferInput(tensor.name(), tensor.shape(), tensor.datatype())
    return made.set_shared_memory(place.region, place.size, place.offset)


def address(url: str) -> str:
    """Tell where a client is to look for Triton that a script makes for this URL."""
    return InferenceServerClient.service_url if url in CUSTOMARY_URLS else url


def not_loaded(model_name: str, error: InferenceServerException) -> Exception:
    """Tell what it means that Triton did not load a model: its 500 is about the model, whose name the script gave."""
    if error.status() != "500":
        return explain(error)
    return Refused(f"Triton cannot load model {model_name!r}: {error.message().rstrip('.')}.", error.status())


_policies: dict[tuple[str, str], tuple[bool, float]] = {}  # what takes_timeout() has told, and until when that holds


def takes_timeout(model_name: str, model_version: str = "") -> bool:
    """Whether a request to this model may say how long it wants to wait in the model's queue.

    A model that is loaded anew may have another policy, which is not told to anybody; so it is asked for now and then.
    Raises InferenceServerException when there is no such model, ConnectionError when Triton is not there.
    Source: Triton's model configuration extension, ModelQueuePolicy.
    """
    model = model_name, model_version
    now = monotonic()
    known = _policies.get(model)
    if known:
        if now < known[1]:
            return known[0]
        _policies[model] = known[0], now + KNOWN_S  # for the others, while this one asks
    client = InferenceServerClient(InferenceServerClient.service_url)
    batching = client.get_model_config(model_name, model_version).get("dynamic_batching", {})
    takes = bool(batching.get("default_queue_policy", {}).get("allow_timeout_override"))
    _policies[model] = takes, now + KNOWN_S
    return takes


def time_left_us() -> int | None:
    """Tell how many microseconds the scoring request has left, if this is part of one."""
    deadline = current.get()
    return max(int(deadline.left_s() * 1e6), 1) if deadline else None
