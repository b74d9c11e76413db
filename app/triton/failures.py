"""What goes wrong between a script and Triton: what a script can catch, and what its caller is answered."""

import re

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..errors import BadInput, ScoringError, TritonBusy, TritonFailed, TritonTimeout, TritonUnavailable

# Source: Triton's Python backend (python_be.cc, stub_launcher.cc); core's ensemble scheduler puts its own name first.
DEAD_MODEL = re.compile(r"(in ensemble '.*', )*Stub process ('.*' )?is not healthy\.")


class Refused(BadInput, InferenceServerException):  # type: ignore[misc]
    """Triton's 4xx, or tritonclient's own: the request does not fit the model. Also what a script expects to catch."""

    code = "triton_refused"
    in_run = True


class Unsupported(Refused):
    """Triton's 501: this model does not answer requests of this kind, a decoupled one over HTTP for example."""

    status = 501
    code = "triton_unsupported"


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


def unreachable(request_uri: str, error: Exception) -> ScoringError:
    """Tell what it means that there was no answer at all."""
    if isinstance(error, TimeoutError):
        return TimedOut(f"Triton gave no answer to {request_uri} in time. Send less at once, or try again later.")
    return Unreachable(f"No connection to Triton for {request_uri}: {error}. Try again shortly.")


def explain(error: InferenceServerException) -> ScoringError:
    """Tell what a failure of Triton's, or of tritonclient's, means to our client. Has no effect on anything.

    By its status. Triton's 503 means several things, and so does its 500; only the text tells those apart.
    Source: Triton 2.51's dynamic batcher (core) and Python backend.
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
    if says_dead(status, text):
        return Dead(f"A model's process in Triton has died: {text} Try again shortly.", status)
    if status.startswith("4"):
        return Refused(f"Triton refused the request: {text.rstrip('.')}.", status)
    if status == "501":
        return Unsupported(f"Triton refused the request: {text.rstrip('.')}.", status)
    if not status:  # Triton was not asked
        return Refused(f"tritonclient refused the request: {text.rstrip('.')}.", status)
    # The text of a Python-backend failure holds its traceback, so it goes to the log alone, as this failure's cause.
    return Failed("Triton failed to answer. Check the logs for more info.", status)


def says_dead(status: str, text: str) -> bool:
    """Whether Triton says that the process of a model has died. A name that a caller chose has no part in it."""
    return status == "500" and bool(DEAD_MODEL.fullmatch(text))
