"""The HTTP face: each route makes one call and answers with what it gets."""

from flask import Blueprint, Response, g, request
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as BaseResponse

from ..health.readiness import Readiness
from ..scoring import render
from ..scoring.pipeline import Scoring
from ..telemetry.metrics import Metrics
from ..triton import TritonServer
from . import error_responses, metrics_page
from .auth import Keys
from .envelope import Envelope
from .openapi import ApiDocuments


def routes(
    scoring: Scoring,
    keys: Keys,
    documents: ApiDocuments,
    readiness: Readiness,
    counters: Metrics,
    triton: TritonServer | None,
    server_version: str | None,
) -> Blueprint:
    """Make the routes of the service. server_version: the value of x-ms-server-version, or None to send none."""
    face = Blueprint("scoregate", __name__)

    @face.route("/score", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
    def score() -> BaseResponse:
        return render.as_response(scoring.score(request.environ))

    @face.record_once
    def leave_out_head(state: BlueprintSetupState) -> None:
        """Take back HEAD, which Werkzeug adds to whatever takes GET, so that `Allow` does not list what is refused."""
        if not scoring.takes_head:
            (rule,) = state.app.url_map.iter_rules(f"{face.name}.score")
            assert rule.methods
            rule.methods.discard("HEAD")

    @face.get("/swagger.json")
    def swagger() -> BaseResponse:
        return render.as_response(render.to(documents.get(request.args.get("version", "2"))))

    @face.get("/", strict_slashes=False)  # "GET http://host" has no path at all
    def healthy() -> str:
        readiness.require_initialised()
        return "Healthy"

    @face.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @face.get("/health/ready")
    def ready() -> dict[str, str]:
        readiness.require_ready()
        return {"status": "ready"}

    @face.get("/metrics")
    def metrics() -> Response:
        return Response(metrics_page.page(triton), content_type="text/plain; version=0.0.4; charset=utf-8")

    @face.before_app_request
    def begin() -> None:
        g.envelope = Envelope(request.environ, request.url_rule.rule if request.url_rule else "none", counters)
        g.envelope.begin(request.environ, keys)

    @face.after_app_request
    def end(response: BaseResponse) -> BaseResponse:
        response.headers.update(g.envelope.end(server_version))
        return response

    @face.app_errorhandler(Exception)
    def failed(error: Exception) -> BaseResponse:
        return error_responses.answer_to(error, request.environ)

    return face
