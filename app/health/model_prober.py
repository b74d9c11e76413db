"""Whether the models answer, not only whether Triton says so: it calls one ready whose process has died."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import gevent

from ..errors import BadInput, ScoringError, TritonTimeout, TritonUnavailable
from ..triton import Dead, InferenceServerException, ModelState, Probe, TritonServer, patience, restart, suspects
from .lifecycle import Lifecycle

LOG = logging.getLogger("scoregate")
TOGETHER_S = 0.1  # what is told in so long a time is looked at together
RECHECK_S = 1.0  # between two looks while a model does not answer, or is not loaded again
TRITON_S = 15.0  # without its list of models, until Triton is started anew
PAUSE_S = (
    10.0  # between two restarts, so that a model that dies at once does not take the others with it; and two loads
)
MOST_INSTANCES = 16  # of a model, that are asked in one look
GONE = (ScoringError, InferenceServerException, OSError)  # Triton, or a model, between two questions

Model = tuple[str, str]  # name and version
TRITON: Model = ("Triton", "")


class Failure(NamedTuple):
    """That a model does not answer, or Triton.

    since: when the first look began that found it so, of those one after the other. dead: Triton says that its process
    is dead.
    """

    since: float
    sentence: str
    dead: bool


class Findings:
    """What was found out about one Triton; none of it is true of the next.

    triton: its process. complete: whether it has loaded all that the one before had.
    """

    def __init__(self, triton: str) -> None:
        self.triton = triton
        self.complete = False
        self.probes: dict[Model, Probe | None] = {}  # None for one that is not to be asked
        self.counts: dict[Model, int] = {}  # of requests that the model has answered
        self.failures: dict[Model, Failure] = {}
        self.under_way: set[Model] = set()  # looks
        self.in_round = False


class Prober:
    """Asks each model for a tiny inference, unless others have got an answer from it since the last time.

    One worker of the service does it. It alone decides whether Triton is started anew: at once for a model whose
    process is dead, else when one has answered nobody for 90 s, and for longer than any request under way would wait.
    It looks at once at a model of which Triton has told others that its process is dead.

    Models take turns to be asked as often as they have instances, over which Triton deals requests out. None is asked
    that opts out, keeps a state between requests or answers in a stream; nor one that fails at its first time, since
    zeros may be no input for it.
    """

    def __init__(self, triton: TritonServer, lifecycle: Lifecycle, seconds: int) -> None:
        """seconds: between two rounds; with 0 there are none."""
        self._triton = triton
        self._lifecycle = lifecycle
        self._seconds = seconds
        self._known = Findings("")
        self._answered: set[Model] = set()  # zeros; that stays true of a Triton started anew
        self._load_again_at: dict[str, float] = {}
        self._may_restart_at = 0.0

    def start(self) -> None:
        """Begin, in greenlets."""
        gevent.spawn(patience.keep_telling)
        gevent.spawn(self._run)

    def _run(self) -> None:
        while not self._lifecycle.becomes_prober():
            gevent.sleep(RECHECK_S)
        self._begin_anew()
        due = monotonic() + self._seconds
        while True:
            told = suspects.wait(RECHECK_S)
            everyone = bool(self._seconds) and monotonic() >= due
            if everyone:
                due = monotonic() + self._seconds
            is_another = self._known.triton != restart.process_id()
            if is_another:
                self._begin_anew()
            if everyone or told or is_another or self._known.failures or not self._known.complete:
                with suppress(*GONE):
                    self._look(told, everyone)
                    self._judge()
                gevent.sleep(TOGETHER_S)

    def _begin_anew(self) -> None:
        self._known = Findings(restart.process_id())
        self._lifecycle.models_failing = ""

    def _look(self, told: set[str], everyone: bool) -> None:
        """Look at Triton, then have a look taken at all models or at those told of and those that do not answer."""
        began = monotonic()
        if told and restart.has_lost_a_stub():
            self._note(self._known, (min(told), ""), Failure(began, "A model's process in Triton has died.", dead=True))
        try:
            models = self._triton.models()
            missing = self._triton.missing(models)
        except TritonTimeout as error:
            self._note(self._known, TRITON, Failure(began, error.sentence, dead=False))
            return
        except TritonUnavailable:  # it is starting, and loads its models anew
            self._begin_anew()
            return
        self._note(self._known, TRITON, None)
        self._known.complete = not missing
        if self._triton.loads_when_told:
            for each in missing:
                gevent.spawn(self._load_again, each)
        known = self._known
        ready = [(each.name, each.version) for each in models if each.state == "READY"]
        for model in [each for each, failure in known.failures.items() if not failure.dead and each not in ready]:
            self._note(known, model, None)  # it is served no more
        for model in ready:
            if model[0] in told or (model in known.failures and not known.failures[model].dead):
                gevent.spawn(self._look_at, known, model, model[0] in told)
        if everyone and not known.in_round:
            gevent.spawn(self._look_at_each, known, ready)

    def _load_again(self, missing: ModelState) -> None:
        """Load a model that was loaded in the Triton before."""
        name = missing.name
        if missing.state == "LOADING" or monotonic() < self._load_again_at.get(name, 0.0):
            return
        self._load_again_at[name] = float("inf")
        try:
            self._triton.load_again(name)
            LOG.info("Model %r is loaded again, since Triton was started anew.", name)
        except GONE as error:
            LOG.warning("Model %r cannot be loaded again: %s", name, error)
        finally:
            self._load_again_at[name] = monotonic() + PAUSE_S

    def _look_at_each(self, known: Findings, models: Sequence[Model]) -> None:
        known.in_round = True
        try:
            for model in models:
                self._look_at(known, model, told=False)
        finally:
            known.in_round = False

    def _look_at(self, known: Findings, model: Model, told: bool) -> None:
        """Ask one model, unless it is being asked; note what is wrong, if anything is."""
        if model in known.under_way:
            return
        known.under_way.add(model)
        began = monotonic()
        try:
            problem = self._problem(known, model, told)
            failure = Failure(began, problem, dead=False) if problem else None
        except Dead as error:
            failure = Failure(began, error.sentence, dead=True)
        except GONE as error:
            LOG.debug("Model %r cannot be looked at: %s", model[0], error)
            failure = None
        finally:
            known.under_way.remove(model)
        with suppress(*GONE):
            self._note(known, model, failure)

    def _problem(self, known: Findings, model: Model, told: bool) -> str:
        """Ask one model; tell what is wrong, if anything is. told: of it, so that others' answers say nothing.

        Raises Dead, and what the look-ups of the model do.
        """
        has_answered = self._has_answered(known, model)
        if model not in known.probes:
            known.probes[model] = Probe(*model) if self._triton.may_be_probed(*model) else None
        probe = known.probes[model]
        if not probe or (has_answered and not told):
            return ""
        try:
            for _ in range(min(self._triton.instances(*model), MOST_INSTANCES)):
                probe.ask()
                known.counts[model] += 1  # by us
        except Dead:
            raise
        except BadInput:  # that zeros do not suit it is an answer, too; or it takes others now
            self._is_another(known, model)
        except ScoringError as error:
            if error.status < 500:
                return ""
            if not isinstance(error, TritonUnavailable) and self._has_answered(known, model):
                return ""  # others, while this one was in its queue
            if model in self._answered or isinstance(error, TritonUnavailable):
                return error.sentence
            LOG.info("Model %r cannot be probed, it fails with zeros: %s", model[0], error.sentence)
            known.probes[model] = None
        else:
            self._answered.add(model)
        return ""

    def _is_another(self, known: Findings, model: Model) -> None:
        """Forget what is true of a model no more."""
        known.probes.pop(model, None)
        self._answered.discard(model)

    def _has_answered(self, known: Findings, model: Model) -> bool:
        """Whether the model has answered requests since this was last asked."""
        before = known.counts.get(model)
        known.counts[model] = count = self._triton.answered(*model)
        if before is not None and count < before:  # it was loaded anew
            self._is_another(known, model)
        return before is not None and count > before

    def _note(self, known: Findings, model: Model, failure: Failure | None) -> None:
        """Note what a look has found; say what does not answer, and start Triton anew if that is to be done."""
        before = known.failures.get(model)
        if known is not self._known or before == failure:
            return
        if not failure:
            del known.failures[model]
        elif before:
            known.failures[model] = Failure(before.since, failure.sentence, failure.dead)
        else:
            LOG.warning("%s does not answer: %s", _name(model), failure.sentence)
            known.failures[model] = failure
        self._lifecycle.models_failing = " ".join(
            f"{_name(each)} does not answer: {why.sentence}" for each, why in known.failures.items()
        )
        self._judge()

    def _judge(self) -> None:
        """Start Triton anew if a model is dead, or has not answered for longer than anybody would wait."""
        for model, failure in list(self._known.failures.items()):
            if monotonic() >= self._may_restart_at and self._is_hopeless(model, failure):
                if restart.restart(f"{_name(model)} does not answer. {failure.sentence}"):
                    self._may_restart_at = monotonic() + PAUSE_S
                    if not failure.dead:  # should it be no better then, zeros are no input for it any more
                        self._answered.discard(model)
                    self._begin_anew()  # that there is no Triton now is told by itself
                return

    def _is_hopeless(self, model: Model, failure: Failure) -> bool:
        failing_s = monotonic() - failure.since
        if failure.dead or model == TRITON:
            return failure.dead or failing_s >= TRITON_S
        return failing_s >= patience.LONG_S and failing_s >= self._longest_wait_s(model[0])

    def _longest_wait_s(self, name: str) -> float:
        """Tell how long a request under way would wait for the model, or for an ensemble that it is part of."""
        waits = patience.longest().items()
        return max((seconds for asked, seconds in waits if name in self._triton.parts(asked)), default=0.0)


def _name(model: Model) -> str:
    return "Triton" if model == TRITON else f"Model {model[0]!r}"
