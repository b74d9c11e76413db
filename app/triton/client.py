"""The Triton client that entry scripts get: tritonclient's own, with clear failures and without a queue."""

import http.client
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar
from urllib.parse import quote

import tritonclient.http  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..deadline import current
from ..errors import BadInput, ScoringError, TritonBusy, TritonFailed, TritonTimeout, TritonUnavailable
from . import process
from .connections import Connections, succeeded
from .shared_memory import Place, Regions, regions
from .tensors import InferInput, InferResult

# Upstream's default of 1 makes the greenlets of a worker take turns on one socket: Triton never sees two requests at
# once and cannot batch. Connections open on demand, so a high limit costs nothing until it is used.
CONNECTIONS = 512

# Where scripts written for Azure ML look for Triton. They are sent to this service's own, wherever that listens; the
# address also spares the look-up of "localhost", which tries ::1 first, where Triton does not listen.
CUSTOMARY_URLS = ("localhost:8000", "127.0.0.1:8000")


DEAD_MODEL = re.compile(r"Stub process '.*' is not healthy\.")
ALL_IN_BINARY = {"parameters": {"binary_data_output": True}}  # of a request that names no outputs
TIMEOUT_AT = 7  # the place of `timeout` in infer(), after model_name and inputs


class Refused(BadInput, InferenceServerException):  # type: ignore[misc]
    """Triton's 4xx: the request does not fit the model. Also what a script expects to catch."""

    code = "triton_refused"
    in_run = True


class Failed(TritonFailed, InferenceServerException):  # type: ignore[misc]
    """Triton's 5xx: the model failed."""


class Busy(TritonUnavailable, InferenceServerException):  # type: ignore[misc]
    """Triton's 503: the server is stopping or the model is not available at the moment."""


class Dead(Busy):
    """Triton's 500 for a model one of whose processes has died. None comes back before Triton is started anew."""


class QueueFull(TritonBusy, InferenceServerException):  # type: ignore[misc]
    """Triton's 503: the model's queue holds max_queue_size requests."""


class QueueTimeout(TritonTimeout, InferenceServerException):  # type: ignore[misc]
    """Triton's 503: the request waited in the model's queue for longer than its timeout."""


class Unreachable(TritonUnavailable, ConnectionError):
    """No connection, or one that broke: Triton is down, or died while it was answering."""


class TimedOut(TritonTimeout, TimeoutError):
    """The client's network_timeout has passed."""


class InferenceServerClient(tritonclient.http.InferenceServerClient):  # type: ignore[misc]
    """tritonclient.http.InferenceServerClient with the same signature and three differences.

    The customary address means this service's Triton. As many connections are opened as requests run side by side
    (upstream: 1). Failures are of classes that this service can answer, derived from what upstream raises, so that a
    script's own `except` goes on working: InferenceServerException, TimeoutError, ConnectionError.
    """

    service_url: ClassVar[str] = "127.0.0.1:8000"

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
        if url in CUSTOMARY_URLS:
            url = self.service_url
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
            if isinstance(failure, Refused):
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


def unreachable(request_uri: str, error: Exception) -> ScoringError:
    """Tell what it means that there was no answer at all."""
    if isinstance(error, TimeoutError):
        return TimedOut(f"Triton gave no answer to {request_uri} in time. Send less at once, or try again later.")
    return Unreachable(f"No connection to Triton for {request_uri}: {error}. Try again shortly.")


def explain(error: InferenceServerException) -> ScoringError:
    """Tell what Triton's answer means to our client.

    By its status; its 503 means several things, which only the text tells apart, and so does its 500 for a model whose
    process has died. Source: Triton 2.51's dynamic batcher (core) and Python backend.
    """
    if isinstance(error, ScoringError):
        return error
    status = error.status() or ""
    text = error.message()
    if status == "503":
        if "Exceeds maximum queue size" in text:
            return QueueFull("The model's queue in Triton is full. Try again shortly.", status)
        if "Request timeout expired" in text:
            return QueueTimeout("The request waited too long in the model's queue in Triton. Try again later.", status)
        return Busy(f"Triton does not take requests at the moment: {text}. Try again shortly.", status)
    if DEAD_MODEL.search(text):
        process.restart(text)
        return Dead(f"A model's process in Triton has died: {text} Triton is started anew. Try again shortly.", status)
    if status.startswith("4"):
        return Refused(f"Triton refused the request: {text.rstrip('.')}.", status)
    # The text of a Python-backend failure holds its traceback, so it goes to the log alone, as this failure's cause.
    return Failed("Triton failed to answer. Check the logs for more info.", status)


@cache
def takes_timeout(model_name: str, model_version: str = "") -> bool:
    """Whether a request to this model may say how long it wants to wait in the model's queue.

    Raises InferenceServerException when there is no such model, ConnectionError when Triton is not there.
    Source: Triton's model configuration extension, ModelQueuePolicy.
    """
    client = InferenceServerClient(InferenceServerClient.service_url)
    batching = client.get_model_config(model_name, model_version).get("dynamic_batching", {})
    return bool(batching.get("default_queue_policy", {}).get("allow_timeout_override"))


def time_left_us() -> int | None:
    """Tell how many microseconds the scoring request has left, if this is part of one."""
    deadline = current.get()
    return max(int(deadline.left_s() * 1e6), 1) if deadline else None


def hand_to_scripts(service_url: str | None, instance: str) -> None:
    """Put our classes where scripts import them from: tritonclient.http, and tritonhttpclient, its name until 2021.

    service_url: host:port of this service's Triton, or None when it runs without: the customary address stays.
    instance: what the names of the memory shared with it begin with.
    """
    # Importing the old names warns, through a filter of their own that outdoes "ignore"; so they are recorded.
    with warnings.catch_warnings(record=True):
        import tritonclientutils  # type: ignore[import-untyped]  # noqa: F401
        import tritonhttpclient  # type: ignore[import-untyped]
    if service_url:
        InferenceServerClient.service_url = service_url
        Regions.instance = instance
    for module in (tritonclient.http, tritonhttpclient):
        module.InferenceServerClient, module.InferInput = InferenceServerClient, InferInput
    tritonclient.http._client.InferResult = InferResult  # where upstream's infer() takes it from
