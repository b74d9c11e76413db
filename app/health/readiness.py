"""How a worker gets ready, and whether a request could be scored now."""

import gc
import logging
import os
from collections.abc import Callable
from time import monotonic
from typing import NoReturn

import gevent

from ..errors import NotReady, TritonTimeout, TritonUnavailable
from ..script.entry_script import EntryScript, EntryScriptError
from ..triton import ModelState, TritonServer
from .lifecycle import Lifecycle, State

LOG = logging.getLogger("scoregate")
REPLACE_WORKER = 1
MISCONFIGURED = 3  # Gunicorn stops at this code instead of replacing the worker: Arbiter.WORKER_BOOT_ERROR
POLL_S = 0.1  # between two questions to a Triton that is loading its models
NEWS_S = 5.0  # between two lines of the log meanwhile

Announce = Callable[[list[ModelState]], None]


class ModelsFailed(Exception):
    """Triton is up but could not load a model; the text says which and why."""


def end_worker(reason: str, lifecycle: Lifecycle) -> NoReturn:
    """End this worker for a reason that all that are started now will find; the first one tells it."""
    if lifecycle.fault_is_new():
        LOG.error("%s", reason)
    os._exit(MISCONFIGURED)


class Readiness:
    """Whether this worker can score: once Triton serves every model and the script's init() has run."""

    def __init__(self, script: EntryScript, triton: TritonServer | None, lifecycle: Lifecycle) -> None:
        self._script = script
        self._triton = triton
        self._lifecycle = lifecycle
        self._waits_for: str | None = "Triton" if triton else "init() of the entry script"

    @property
    def initialised(self) -> bool:
        """Whether init() has run."""
        return self._waits_for is None

    def start(self, tell_news: bool, announce: Announce) -> None:
        """Get ready in a greenlet, so that the worker answers probes meanwhile.

        tell_news: whether to log that Triton takes its time; for one worker of the service. announce: called with the
        models if this worker makes the service ready.
        A model that cannot be loaded or an init() that fails ends the process with MISCONFIGURED.
        """
        gevent.spawn(self._start, tell_news, announce).link_exception(lambda _: os._exit(REPLACE_WORKER))

    def require_initialised(self) -> None:
        """Raise NotReady until init() has run."""
        if self._waits_for:
            raise NotReady(f"The service is starting and waits for {self._waits_for}. Try again shortly.")

    def require_ready(self) -> None:
        """Raise NotReady with the reason unless requests may be sent; asks Triton for its models."""
        if self._lifecycle.is_ending:
            raise NotReady("The service is stopping. Send requests to another one.")
        self.require_initialised()
        if self._lifecycle.state is State.STARTING:
            ready, wanted = len(self._lifecycle.ready_workers()), self._lifecycle.worker_count
            raise NotReady(f"The service is starting: {ready} of {wanted} workers can score. Try again shortly.")
        if not self._triton:
            return
        try:
            models = self._triton.models()
            missing = self._triton.missing(models)
        except (TritonUnavailable, TritonTimeout) as error:
            raise NotReady(f"Triton does not answer. {error.sentence}") from error
        if not models and not self._triton.may_be_empty:
            raise NotReady("Triton serves no model. Put one into the model repository, then start again.")
        for model in missing:
            is_what = model.state or "not loaded"
            raise NotReady(f"Model {model.name!r}, version {model.version}, is {is_what}: {model.reason}.")
        if failing := self._lifecycle.models_failing:
            raise NotReady(failing)

    def _start(self, tell_news: bool, announce: Announce) -> None:
        try:
            models = self._models_once_loaded(self._triton, tell_news) if self._triton else []
            self._waits_for = "init() of the entry script"
            self._script.init()
        except (ModelsFailed, EntryScriptError) as error:
            if isinstance(error.__cause__, TritonUnavailable | TritonTimeout):
                # That Triton died during init() is not the script's fault: the next worker waits for Triton again.
                LOG.error("%s", error)
                os._exit(REPLACE_WORKER)
            end_worker(str(error), self._lifecycle)
        # What there is now, stays. Python would look through all of it for garbage again and again, amid requests.
        gc.collect()
        gc.freeze()
        self._waits_for = None
        if self._lifecycle.worker_ready():
            announce(models)

    def _models_once_loaded(self, triton: TritonServer, tell_news: bool) -> list[ModelState]:
        """Wait until Triton listens, which it does once each model is loaded or has failed. Tell those that are ready.

        Raises ModelsFailed unless the service has been ready: what fails later, since the repository has changed, keeps
        no worker from taking another's place.
        """
        started = monotonic()
        news = NEWS_S
        while True:
            try:
                models = triton.models()
                break
            except (TritonUnavailable, TritonTimeout):
                if tell_news and monotonic() - started > news:
                    LOG.info("Triton is loading the models (%.0f s)", news)
                    news += NEWS_S
                gevent.sleep(POLL_S)
        triton.missing(models)
        failed = triton.failed(models)
        if failed and self._lifecycle.state is State.STARTING:
            raise ModelsFailed(
                "\n".join(
                    f"Triton cannot load model {each.name!r}, version {each.version}: {each.reason}" for each in failed
                )
            )
        return [model for model in models if model.state == "READY"]
