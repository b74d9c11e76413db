"""How a failure is answered, and what of it goes to the log."""

import json
import logging
import os
import signal
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from ..errors import ScoringError, ScriptExits
from ..scoring import render
from ..telemetry import log

LOG = logging.getLogger("scoregate")


def answer_to(error: Exception, environ: dict[str, Any]) -> Response:
    """Answer a failure: one with an answer of its own, a request that fits no route or limit, or a fault of ours."""
    if isinstance(error, ScoringError):
        return _scoring_error(error)
    if isinstance(error, HTTPException):
        return _http_error(error, environ["REQUEST_METHOD"], environ["PATH_INFO"])
    LOG.error("Unexpected fault of the server", exc_info=error)
    return as_response(
        ScoringError("An unexpected internal error occurred. Check the logs for more info."), log.request_id.get()
    )


def _scoring_error(error: ScoringError) -> Response:
    """The log gets the traceback of one that somebody has to mend."""
    if error.status >= 500 and error.retry_after_s is None:
        LOG.error("%s", log.one_line(error.sentence), exc_info=error.__cause__)
    else:
        LOG.info("%s %s: %s", error.status, error.code, log.one_line(error.sentence))
    if isinstance(error, ScriptExits):
        os.kill(os.getpid(), signal.SIGTERM)  # Gunicorn lets the worker finish its requests and starts another
    return as_response(error, log.request_id.get())


def _http_error(error: HTTPException, method: str, path: str) -> Response:
    """The headers that belong to the status (Allow) stay."""
    if isinstance(error, NotFound):
        message = f"There is no {path}. Send requests to POST /score."
    elif isinstance(error, MethodNotAllowed) and method != "HEAD":
        message = f"{method} is not allowed on {path}. Use {' or '.join(error.valid_methods or ())}."
    else:
        message = error.description or error.name
    status = error.code or 500
    code = code_of(status)
    LOG.info("%s %s: %s", status, code, log.one_line(message))
    response = Response(status=status, headers=error.get_headers(), content_type="application/json")
    response.set_data(body(message, code, log.request_id.get()))
    response.headers[render.RUN_FAILED] = "False"
    return response


def code_of(status: int) -> str:
    """Name a failure that is of no class of ours after its status: 404 is not_found."""
    return ScoringError.code if status == ScoringError.status else HTTP_STATUS_CODES[status].lower().replace(" ", "_")


def body(message: str, code: str, request_id: str, detail: str = "") -> str:
    """Write the JSON body of a failure."""
    members: dict[str, Any] = {"message": message, "code": code, "request_id": request_id}
    if detail:
        members["detail"] = detail
    return json.dumps(members)


def as_response(error: ScoringError, request_id: str) -> Response:
    """Make the response to a failure."""
    text = body(error.sentence, error.code, request_id, error.detail)
    response = Response(text, error.status, content_type="application/json")
    response.headers.update(error.headers)
    response.headers["x-ms-run-function-failed"] = str(error.in_run)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
