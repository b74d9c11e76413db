"""What that server has no counterpart for."""

from asks import health_while, line_with, when_triton_died
from contract import (
    JSON,
    SCRIPT_FAILED,
    Answer,
    Case,
    Failure,
    Group,
    Holds,
    Json,
    Match,
    Request,
    failure,
    get,
    post,
    rule,
    scenario,
)
from scenarios import PLAIN, SCHEMA, SET
from service import ROOT

HEALTHY = Answer(200, "Healthy")
HANGS = Answer(0, "no answer")
SEPARATE = scenario("plain", SEPERATE_HEALTH_ENDPOINT="true", HEALTH_PORT="{health_port}")
# Gevent is what people run theirs under who want more than one request at a time in a worker.
UNDER_GEVENT = scenario("plain", SCORING_TIMEOUT_MS="900", theirs={"GUNICORN_CMD_ARGS": "--worker-class=gevent"})
WITH_TRITON = scenario("plain", AZUREML_MODEL_DIR=str(ROOT / "models"), ours={"TRITON": "on"})
NO_ROUTE = Answer(404)


def answers_only(status: str) -> Answer:
    return Answer(200, Json({"status": status}), JSON)


def code(name: str, status: int, request: Request, there: object = PLAIN) -> Case:
    asked = Request(request.method, request.path, request.body, {**request.headers, "x-request-id": "a"})
    told, plain = {"code": name, "request_id": "a"}, {"code": "absent", "request_id": "absent"}
    return Case(f"code-{name}", there, asked, Answer(status, Holds(told), JSON), theirs=Answer(status, Holds(plain)))


GROUP = Group(
    "Beyond that server",
    (
        rule(
            "`GET /` answers while all workers are busy with waiting, on `HEALTH_PORT`, too.",
            Case("health-while-waiting", PLAIN, health_while(post("sleep for 3 s")), HEALTHY, theirs=HANGS),
            Case(
                "health-port-while-waiting",
                SEPARATE,
                health_while(post("sleep for 3 s"), on_health_port=True),
                HEALTHY,
                theirs=HANGS,
            ),
            theirs="No answer until `run()` is done.",
        ),
        rule(
            "What the script logs with `logging.info()` appears in the log, with the request's id.",
            Case(
                "log-info",
                PLAIN,
                line_with(post("info", **{"x-request-id": "find-me"}), "said at level 20"),
                Match(r"find-me.* my\.script.*said at level 20"),
                theirs="",
            ),
            theirs="It does not appear.",
        ),
        rule(
            "Warnings appear with the request's id, too.",
            Case(
                "log-warning",
                PLAIN,
                line_with(post("warning", **{"x-request-id": "find-it"}), "said at level 30"),
                Match(r"find-it.* my\.script.*said at level 30"),
                theirs=Match(r"^WARNING:my\.script:said at level 30$"),
            ),
            theirs="They appear without time and id.",
        ),
        rule(
            "Workers run on gevent, and `SCORING_TIMEOUT_MS` is in force.",
            Case(
                "timeout-under-gevent",
                UNDER_GEVENT,
                post("compute for 3 s"),
                failure(500, "Scoring timeout after 900 ms", failed="True"),
                theirs=Answer(200, "{}"),
            ),
            theirs="With Gunicorn's gevent worker the timeout is lost.",
        ),
        rule(
            "So is the answer to `SystemExit` in `run()`.",
            Case("exit-under-gevent", UNDER_GEVENT, post("exit"), SCRIPT_FAILED, theirs=Answer(0, Match("hung up"))),
            theirs="With Gunicorn's gevent worker the connection is dropped.",
        ),
        rule(
            "`GET /health/live` answers 200 while the process answers.",
            Case("live", PLAIN, get("/health/live"), answers_only("live"), theirs=NO_ROUTE),
            theirs="404, no such route.",
        ),
        rule(
            "`GET /health/ready` answers 200 when a request could be scored now: `init()` is done and Triton serves "
            "every model that it served before.",
            Case("ready", PLAIN, get("/health/ready"), answers_only("ready"), theirs=NO_ROUTE),
            theirs="404, no such route.",
        ),
        rule(
            "Else it answers 503 and says what is missing.",
            Case("ready-with-triton", WITH_TRITON, get("/health/ready"), answers_only("ready"), theirs=NO_ROUTE),
            Case(
                "not-ready",
                WITH_TRITON,
                when_triton_died(get("/health/ready")),
                Answer(503, Failure(Match("Triton"))),
                theirs=NO_ROUTE,
            ),
            theirs="It knows nothing of Triton.",
        ),
        rule(
            "`GET /metrics` answers Prometheus text.",
            Case(
                "metrics",
                PLAIN,
                get("/metrics"),
                Answer(200, Match("# TYPE scoregate_"), {"Content-Type": Match("^text/plain; version=0.0.4")}),
                theirs=NO_ROUTE,
            ),
            theirs="404, no such route.",
        ),
        rule(
            "A failure has two members besides `message`: `request_id`, the answer's `x-request-id`, and `code`, "
            "which never "
            "changes: `script_failed`, `scoring_timeout`, `answer_not_serializable`, `bad_input`, "
            "`unsupported_content_type`, `id_too_long`, `not_found`, `method_not_allowed`. `scoring_timeout` has a "
            "third, `detail`: what took the time.",
            code("script_failed", 500, post("raise")),
            code("scoring_timeout", 500, post("sleep"), SET),
            code("answer_not_serializable", 500, post("set")),
            code("bad_input", 400, post(b"\xff")),
            code("unsupported_content_type", 415, post("{}"), SCHEMA),
            code("id_too_long", 431, post("x", **{"x-ms-request-id": "x" * 101})),
            code("not_found", 404, get("/nothing")),
            code("method_not_allowed", 405, get("/score", "PUT")),
            theirs="Only `message`.",
        ),
    ),
)
