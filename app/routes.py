"""The HTTP face: read the request, make one call, write the answer."""

import logging
import os
import signal
import uuid
from time import perf_counter

from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from . import answer, errors, log, metrics, request_ids
from .entry_script import EntryScript, ScriptExits
from .errors import ScoringError
from .lifecycle import Lifecycle
from .openapi import ApiDocuments
from .triton import TritonServer

LOG = logging.getLogger("scoregate")


def routes(
    script: EntryScript,
    documents: ApiDocuments,
    lifecycle: Lifecycle,
    counters: metrics.Metrics,
    triton: TritonServer | None,
    server_version: str | None,
) -> Blueprint:
    """Make the routes of the service. server_version: the value of x-ms-server-version, or None to send none."""
    face = Blueprint("scoregate", __name__)

    @face.route("/score", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
    def score() -> BaseResponse:
        if not script.takes_request:
            if request.method == "OPTIONS":
                return answer.response(BaseResponse(content_type="text/html; charset=utf-8"))
            if request.method == "HEAD":
                raise MethodNotAllowed(["GET", "POST", "OPTIONS"], "Method not allowed")
        lifecycle.require_initialised()
        values = script.read_arguments(request)
        started = perf_counter()
        with counters.in_script():
            result = script.run(values)
        milliseconds = (perf_counter() - started) * 1000
        response = answer.response(result)
        response.headers["x-ms-run-fn-exec-ms"] = f"{milliseconds:.3f}"
        return response

    @face.get("/swagger.json")
    def swagger() -> BaseResponse:
        return answer.response(documents.get(request.args.get("version", "2")))

    @face.get("/", strict_slashes=False)  # "GET http://host" has no path at all
    def healthy() -> str:
        lifecycle.require_initialised()
        return "Healthy"

    @face.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @face.get("/health/ready")
    def ready() -> dict[str, str]:
        lifecycle.require_ready()
        return {"status": "ready"}

    @face.get("/metrics")
    def metrics_page() -> Response:
        return Response(metrics.page(triton), content_type="text/plain; version=0.0.4; charset=utf-8")

    @face.before_app_request
    def begin() -> None:
        g.started = perf_counter()
        g.echo = {}
        try:
            request_ids.read(request.headers, g.echo)
        finally:  # an id that is too long is not echoed, but the failure and the log need one
            log.request_id.set(g.echo.get("x-request-id") or str(uuid.uuid4()))

    @face.after_app_request
    def end(response: BaseResponse) -> BaseResponse:
        response.headers.update(g.echo)
        if server_version:
            response.headers["x-ms-server-version"] = server_version
        if trace_id := request.headers.get("TraceId"):
            response.headers["TraceId"] = trace_id
        route = request.url_rule.rule if request.url_rule else "none"
        counters.answered(route, response.status_code, perf_counter() - g.started)
        return response

    face.app_errorhandler(ScoringError)(scoring_error)
    face.app_errorhandler(HTTPException)(http_error)
    face.app_errorhandler(Exception)(own_fault)
    return face


def scoring_error(error: ScoringError) -> BaseResponse:
    """Answer a failure that has an answer of its own; the log gets the traceback of one that somebody has to mend."""
    if error.status >= 500 and error.retry_after_s is None:
        LOG.error("%s", error.sentence, exc_info=error.__cause__)
    else:
        LOG.info("%s %s: %s", error.status, error.code, error.sentence)
    if isinstance(error, ScriptExits):
        os.kill(os.getpid(), signal.SIGTERM)  # Gunicorn lets the worker finish its requests and starts another
    return errors.answer(error, log.request_id.get())


def http_error(error: HTTPException) -> BaseResponse:
    """Answer a request that fits no route or limit, with the headers that belong to its status (Allow)."""
    if isinstance(error, NotFound):
        message = f"There is no {request.path}. Send requests to POST /score."
    elif isinstance(error, MethodNotAllowed) and request.method != "HEAD":
        message = f"{request.method} is not allowed on {request.path}. Use {' or '.join(error.valid_methods or ())}."
    elif isinstance(error, RequestEntityTooLarge):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        message = f"The request's body is larger than {limit} bytes. Send less, or raise MAX_BODY_BYTES."
    else:
        message = error.description or error.name
    LOG.info("%s %s: %s", error.code, errors.code_of(error), message)
    response = error.get_response()
    response.set_data(errors.body(message, errors.code_of(error), log.request_id.get()))
    response.content_type = "application/json"
    response.headers[answer.RUN_FAILED] = "False"
    return response


def own_fault(error: Exception) -> BaseResponse:
    """Answer a fault of this server."""
    LOG.error("Unexpected fault of the server", exc_info=error)
    return errors.answer(
        ScoringError("An unexpected internal error occurred. Check the logs for more info."), log.request_id.get()
    )
