"""The HTTP face: read the request, make one call, write the answer."""

import logging
from time import perf_counter

from flask import Blueprint, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from . import answer, errors, log, metrics
from .entry_script import EntryScript
from .errors import BadInput, ScoringError
from .lifecycle import Lifecycle
from .triton import TritonServer

LOG = logging.getLogger("scoregate")


def routes(
    script: EntryScript, lifecycle: Lifecycle, counters: metrics.Metrics, triton: TritonServer | None
) -> Blueprint:
    """Make the routes of the service."""
    face = Blueprint("scoregate", __name__)

    @face.post("/score")
    def score() -> BaseResponse:
        lifecycle.require_initialised()
        data = body_text()
        with counters.in_script():
            result = script.run(data)
        return answer.response(result)

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
        log.begin_request(request.headers)

    @face.after_app_request
    def end(response: BaseResponse) -> BaseResponse:
        response.headers["x-request-id"] = log.request_id.get()
        route = request.url_rule.rule if request.url_rule else "none"
        counters.answered(route, response.status_code, perf_counter() - g.started)
        return response

    face.app_errorhandler(ScoringError)(scoring_error)
    face.app_errorhandler(HTTPException)(http_error)
    face.app_errorhandler(Exception)(own_fault)
    return face


def body_text() -> str:
    """Read the request's body as text, whatever its content type. Raises BadInput, RequestEntityTooLarge.

    From Gunicorn, which ends the body where the request ends. Werkzeug's stream on top of it cuts a chunked body off at
    the limit, and takes a body that broke off for a whole one.
    """
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    announced = request.content_length or 0
    if announced > limit:
        raise RequestEntityTooLarge
    try:
        body: bytes = request.environ["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise RequestEntityTooLarge
        if len(body) < announced:
            raise BadInput(f"The request's body broke off after {len(body)} of {announced} bytes.")
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from error
    except (OSError, ParseException) as error:  # the connection ended, or what came are no chunks
        raise BadInput(f"The request's body cannot be read: {error}") from error


def scoring_error(error: ScoringError) -> BaseResponse:
    """Answer a failure that has an answer of its own; the traceback of a server-side one goes to the log."""
    if error.status >= 500 and error.__cause__:
        LOG.error("%s", error.sentence, exc_info=error.__cause__)
    return errors.answer(error, log.request_id.get())


def http_error(error: HTTPException) -> BaseResponse:
    """Answer a request that fits no route or limit, with the headers that belong to its status (Allow)."""
    if isinstance(error, NotFound):
        message = f"There is no {request.path}. Send requests to POST /score."
    elif isinstance(error, MethodNotAllowed):
        message = f"{request.method} is not allowed on {request.path}. Use {' or '.join(error.valid_methods or ())}."
    elif isinstance(error, RequestEntityTooLarge):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        message = f"The request's body is larger than {limit} bytes. Send less, or raise MAX_BODY_BYTES."
    else:
        message = error.description or error.name
    response = error.get_response()
    response.set_data(errors.body(message, errors.code_of(error), log.request_id.get()))
    response.content_type = "application/json"
    return response


def own_fault(error: Exception) -> BaseResponse:
    """Answer a fault of this server."""
    LOG.error("Unexpected fault of the server", exc_info=error)
    return errors.answer(
        ScoringError("An unexpected internal error occurred. Check the logs for more info."), log.request_id.get()
    )
