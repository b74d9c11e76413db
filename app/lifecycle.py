"""Starting, then ready: who decides, who is told."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NoReturn

import gevent

from .entry_script import EntryScript, EntryScriptError
from .errors import NotReady, TritonTimeout, TritonUnavailable
from .triton import ModelState, TritonServer

LOG = logging.getLogger("scoregate")
REPLACE_WORKER = 1
MISCONFIGURED = 3  # Gunicorn stops at this code instead of replacing the worker: Arbiter.WORKER_BOOT_ERROR
POLL_S = 0.1  # between two questions to a Triton that is loading its models
NEWS_S = 5.0  # between two lines of the log meanwhile

Announce = Callable[[list[ModelState]], None]


class ModelsFailed(Exception):
    """Triton is up but could not load a model; the text says which and why."""


def end_service(reason: str) -> NoReturn:
    """End this worker and the service, for a reason that all of its workers will find; the first one tells it.

    Only that one ends with MISCONFIGURED: at a second such code Gunicorn 27, already stopping, crashes with code 1.
    """
    try:
        Path(tempfile.gettempdir(), f"told-{os.getppid()}").touch(exist_ok=False)
    except FileExistsError:
        os._exit(REPLACE_WORKER)
    LOG.error("%s", reason)
    os._exit(MISCONFIGURED)


class Lifecycle:
    """The state of one worker: it scores once Triton serves every model and the script's init() has run."""

    def __init__(self, script: EntryScript, triton: TritonServer | None) -> None:
        self._script = script
        self._triton = triton
        self._waits_for: str | None = "Triton" if triton else "init() of the entry script"

    def start(self, announce: Announce | None) -> None:
        """Get ready in a greenlet, so that the worker answers probes meanwhile.

        announce: called with the models once the worker is ready; given to one worker of the service.
        A model that cannot be loaded or an init() that fails ends the process with MISCONFIGURED.
        """
        gevent.spawn(self._start, announce).link_exception(lambda _: os._exit(REPLACE_WORKER))

    def require_initialised(self) -> None:
        """Raise NotReady until init() has run."""
        if self._waits_for:
            raise NotReady(f"The service is starting and waits for {self._waits_for}. Try again shortly.")

    def require_ready(self) -> None:
        """Raise NotReady with the reason unless a request could be scored now; asks Triton for its models."""
        self.require_initialised()
        if not self._triton:
            return
        try:
            models = self._triton.models()
        except (TritonUnavailable, TritonTimeout) as error:
            raise NotReady(f"Triton does not answer. {error.sentence}") from error
        if not models:
            raise NotReady("Triton serves no model. Put one into the model repository, then start again.")
        for model in models:
            if model.state != "READY":
                raise NotReady(f"Model {model.name!r}, version {model.version}, is {model.state}: {model.reason}.")

    def _start(self, announce: Announce | None) -> None:
        try:
            models = self._models_once_loaded(self._triton, tell=bool(announce)) if self._triton else []
            self._waits_for = "init() of the entry script"
            self._script.init()
        except (ModelsFailed, EntryScriptError) as error:
            if isinstance(error.__cause__, TritonUnavailable | TritonTimeout):
                # That Triton died during init() is not the script's fault: the next worker waits for Triton again.
                LOG.error("%s", error)
                os._exit(REPLACE_WORKER)
            end_service(str(error))
        self._waits_for = None
        if announce:
            announce(models)

    def _models_once_loaded(self, triton: TritonServer, tell: bool) -> list[ModelState]:
        """Wait until Triton listens, which it does once each model is loaded or has failed. Raises ModelsFailed."""
        started = monotonic()
        news = NEWS_S
        while True:
            try:
                models = triton.models()
                break
            except (TritonUnavailable, TritonTimeout):
                if tell and monotonic() - started > news:
                    LOG.info("Triton is loading the models (%.0f s)", news)
                    news += NEWS_S
                gevent.sleep(POLL_S)
        failed = [model for model in models if model.state == "UNAVAILABLE"]
        if failed:
            raise ModelsFailed(
                "\n".join(
                    f"Triton cannot load model {each.name!r}, version {each.version}: {each.reason}" for each in failed
                )
            )
        return models
