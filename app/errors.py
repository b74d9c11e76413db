"""The failures a client can see, each with its HTTP status and code."""

from typing import ClassVar


class ScoringError(Exception):
    """A failure with an answer. Its first argument is for the client: what happened, with which value, what to do.

    status: the HTTP status. code: the machine-readable name, which never changes. retry_after_s: seconds after which
    the same request may succeed, or None when it will not. in_run: run() had begun and did not return. detail: what the
    sentence has no room for, since another server prescribes it. headers: those that the status asks for.
    """

    status = 500
    code = "internal_error"
    retry_after_s: int | None = None
    in_run = False
    detail = ""
    headers: ClassVar[dict[str, str]] = {}

    @property
    def sentence(self) -> str:
        """The text for the client; str() may be another's, since some failures are of tritonclient's class, too."""
        return str(self.args[0])


class BadInput(ScoringError):
    """The request does not fit the entry script or the model."""

    status = 400
    code = "bad_input"


class UnsupportedInput(BadInput):
    """The body has a content type that the script does not take."""

    status = 415
    code = "unsupported_content_type"


class UnsupportedCoding(BadInput):
    """The body is packed in a way that this service cannot undo. Source of the header: RFC 9110, section 12.5.3."""

    status = 415
    code = "unsupported_content_encoding"
    headers: ClassVar[dict[str, str]] = {"Accept-Encoding": "gzip, deflate"}


class BodyTooLarge(BadInput):
    """The body has more bytes than MAX_BODY_BYTES, which is its only argument, as sent or unpacked."""

    status = 413
    code = "request_entity_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request's body is larger than {limit} bytes. Send less, or raise MAX_BODY_BYTES.")


class TooManyParts(BadInput):
    """A multipart form has more parts than are read."""

    status = 413
    code = "too_many_parts"


class Unauthorized(BadInput):
    """The request has no key that fits."""

    status = 401
    code = "unauthorized"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class BodyStalled(BadInput):
    """The rest of the body does not come."""

    status = 408
    code = "request_timeout"


class ClientGone(ScoringError):
    """The caller has closed the connection, or its half of it. Status and name are nginx's."""

    status = 499
    code = "client_gone"


class IdTooLong(BadInput):
    """A request id is too long to be echoed."""

    status = 431
    code = "id_too_long"


class ScriptFailed(ScoringError):
    """run() raised."""

    code = "script_failed"
    in_run = True


class ScriptExits(ScriptFailed):
    """run() raised SystemExit: the answer is that of any failure, and the worker is replaced."""


class ScoringTimeout(ScriptFailed):
    """The request took longer than SCORING_TIMEOUT_MS."""

    code = "scoring_timeout"

    def __init__(self, milliseconds: int, doing: str) -> None:
        """doing: what took the time."""
        super().__init__(f"Scoring timeout after {milliseconds} ms")
        self.detail = f"The time ran out {doing}."


class DeadlineExceeded(ScoringError):
    """The request took longer than its own header allows."""

    status = 504
    code = "deadline_exceeded"
    in_run = True
    retry_after_s = 1


class TooBusy(ScoringError):
    """As many requests as may be are under way."""

    status = 429
    code = "too_many_requests"

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class AnswerNotSerializable(ScoringError):
    """run() returned what cannot be written as JSON."""

    code = "answer_not_serializable"


class NotReady(ScoringError):
    """init() has not run yet."""

    status = 503
    code = "not_ready"
    retry_after_s = 1


class TritonFailed(ScoringError):
    """Triton answered with an error of its own."""

    status = 502
    code = "triton_failed"
    in_run = True


class TritonUnavailable(ScoringError):
    """Triton cannot be reached; supervisord starts it again."""

    status = 503
    code = "triton_unavailable"
    in_run = True
    retry_after_s = 2


class TritonTimeout(ScoringError):
    """Triton gave no answer in time, or let the request wait in its queue for too long."""

    status = 504
    code = "triton_timeout"
    in_run = True
    retry_after_s = 1


class TritonBusy(ScoringError):
    """The model's queue in Triton is full."""

    status = 429
    code = "triton_queue_full"
    in_run = True
    retry_after_s = 1
