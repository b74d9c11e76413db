"""Whether the models answer, not only whether Triton says so: it calls one ready whose process has died."""

import contextlib
import logging

import gevent

from .deadline import Deadline, current
from .errors import ScoringError, TritonTimeout, TritonUnavailable
from .lifecycle import Lifecycle
from .triton import Dead, InferenceServerException, ModelState, TritonModel, TritonServer, process_id, restart

LOG = logging.getLogger("scoregate")
ANSWER_MS = 30_000  # a model that takes longer for one tiny request, and answers none meanwhile, is a failed one
RECHECK_S = 1.0  # between two rounds while a model does not answer
FAILURES = 3  # one after the other, until Triton is started anew
MOST_INSTANCES = 16  # of a model, that are asked in one round

Model = tuple[str, str]  # name and version


class Prober:
    """Asks each model for a tiny inference, unless others have got an answer from it since the last time.

    One worker of the service does it: the one that holds the lock. Models take turns to be asked as often as they have
    instances, over which Triton deals requests out. None is asked that opts out, keeps a state between requests or
    answers in a stream; nor one that fails at its first time, since zeros may be no input for it.
    """

    def __init__(self, triton: TritonServer, lifecycle: Lifecycle, seconds: int) -> None:
        """seconds: between two rounds."""
        self._triton = triton
        self._lifecycle = lifecycle
        self._seconds = seconds
        self._asked: dict[Model, TritonModel | None] = {}  # None for one that is not to be asked
        self._answered: set[Model] = set()
        self._counts: dict[Model, int] = {}  # of requests that the model has answered
        self._dead: dict[Model, tuple[str, str]] = {}  # in which Triton's process, and what was told
        self._failures: dict[str, int] = {}  # one after the other; of Triton itself under its own name

    def start(self) -> None:
        """Begin, in a greenlet."""
        gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            gevent.sleep(RECHECK_S if self._failures else self._seconds)
            # Suppressed: Triton, or a model, has gone between two questions. The next round finds out.
            with contextlib.suppress(ScoringError, InferenceServerException, OSError):
                if self._lifecycle.becomes_prober():
                    self._round()

    def _round(self) -> None:
        failing = {}
        try:
            models = self._triton.models()
        except TritonTimeout as error:
            failing["Triton"] = error.sentence
            models = []
        except TritonUnavailable:  # it is starting, and loads its models anew
            self._asked.clear()
            self._failures.clear()
            self._lifecycle.models_failing = ""
            return
        for model in models:
            if model.state == "READY" and (problem := self._problem(model)):
                failing[f"Model {model.name!r}"] = problem
        self._failures = {name: self._failures.get(name, 0) + 1 for name in failing}
        self._lifecycle.models_failing = " ".join(f"{name} does not answer: {why}" for name, why in failing.items())
        for name, count in self._failures.items():
            LOG.warning("%s does not answer (%d of %d times): %s", name, count, FAILURES, failing[name])
            if count >= FAILURES and restart(f"{name} does not answer. {failing[name]}"):
                self._failures.clear()
                self._lifecycle.models_failing = ""  # that there is no Triton now is told by itself
                return

    def _problem(self, state: ModelState) -> str:
        """Ask one model; tell what is wrong, if anything is."""
        model = state.name, state.version
        triton = process_id()
        died_in, told = self._dead.get(model, ("", ""))
        if told and died_in == triton:  # whichever instances live on, and would answer
            restart(told)
            return told
        if model not in self._asked:
            self._asked[model] = TritonModel(*model) if self._triton.may_be_probed(*model) else None
        probe = self._asked[model]
        if not probe or self._has_answered(model):
            return ""
        try:
            for _ in range(min(self._triton.instances(*model), MOST_INSTANCES)):
                self._ask(probe)
                self._counts[model] += 1  # by us
        except Dead as error:
            self._dead[model] = triton, error.sentence
            return error.sentence
        except ScoringError as error:
            if error.status < 500:
                return ""  # that zeros do not suit it is an answer, too
            if not isinstance(error, TritonUnavailable) and self._has_answered(model):
                return ""  # others, while this one was in its queue
            if model in self._answered or isinstance(error, TritonUnavailable):
                return error.sentence
            LOG.info("Model %r cannot be probed, it fails with zeros: %s", state.name, error.sentence)
            self._asked[model] = None
        else:
            self._answered.add(model)
        return ""

    def _has_answered(self, model: Model) -> bool:
        """Whether the model has answered requests since this was last asked."""
        before = self._counts.get(model)
        self._counts[model] = self._triton.answered(*model)
        return before is not None and self._counts[model] > before

    def _ask(self, probe: TritonModel) -> None:
        outer = current.set(Deadline(ANSWER_MS, of_client=False))
        try:
            probe(**probe.zeros())
        finally:
            current.reset(outer)
