"""Headers."""

from contract import (
    HTML,
    Answer,
    Case,
    Group,
    Match,
    Request,
    Scenario,
    answers,
    failure,
    get,
    post,
    rule,
    scenario,
)
from scenarios import PLAIN, RAW, SET

UUID = Match("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
A, B, C = "x-request-id", "x-ms-request-id", "x-ms-client-request-id"
LONGEST = "x" * 100
TOO_LONG = "x" * 101
BY_A = "x-request-id must not exceed 100 characters"
BY_B_OR_C = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"
ORIGINS = ["https://a.example", "https://b.example"]
CORS, VARY = "Access-Control-Allow-Origin", "Vary"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
STAR = scenario("plain", AML_CORS_ORIGINS="*")


def ids(what: str, sent: str, a: object, b: object, c: object) -> Case:
    """Send those of the headers a, b and c that are named, with their letter for a value."""
    headers = {name: letter for name, letter in ((A, "a"), (B, "b"), (C, "c")) if letter in sent}
    return Case(f"ids-{what}", PLAIN, post("x", **headers), Answer(200, None, {A: a, B: b, C: c}))


def too_long(what: str, request: Request, message: str, **left: object) -> Case:
    ids = {A: left.get("a"), B: left.get("b"), C: left.get("c")}
    return Case(f"ids-too-long-{what}", PLAIN, request, failure(431, message, **ids))


def cors(what: str, there: Scenario, origin: str | None, allowed: str | None, vary: object, **more: object) -> Case:
    method, path = str(more.pop("method", "GET")), str(more.pop("path", "/score"))
    preflight = PREFLIGHT if method == "OPTIONS" else {}
    sent = Request(method, path, headers=({"Origin": origin} if origin else {}) | preflight)
    return Case(f"cors-{what}", there, sent, Answer(200, None, {CORS: allowed, VARY: vary} | more))


def no_route(what: str, request: Request, status: int, theirs_status: int = 0, **told: object) -> Case:
    missing = dict.fromkeys([A, B, C, "x-ms-server-version", "TraceId", CORS])
    return Case(
        f"no-route-{what}", PLAIN, request, failure(status, **told), theirs=failure(theirs_status or status, **missing)
    )


GROUP = Group(
    "Headers",
    (
        rule(
            "`x-request-id` is echoed, up to 100 characters; without one a new UUID is answered.",
            ids("a", "a", "a", "a", None),
            Case("ids-a-longest", PLAIN, post("x", **{A: LONGEST}), Answer(200, None, {A: LONGEST, B: LONGEST})),
            ids("none", "", UUID, UUID, None),
        ),
        rule(
            "The script cannot override `x-request-id`, nor `x-ms-request-id`.",
            Case("ids-own", PLAIN, post("own ids", **{A: "a", B: "b"}), Answer(200, "x", {A: "a", B: "b", C: "b"})),
        ),
        rule(
            "`x-ms-request-id` is echoed; without one it is `x-ms-client-request-id`; without that `x-request-id`.",
            ids("abc", "abc", "a", "b", "c"),
            ids("ac", "ac", "a", "c", "c"),
            ids("c", "c", UUID, "c", "c"),
        ),
        rule(
            "`x-ms-client-request-id` is echoed; without one it is `x-ms-request-id`; without that it is absent.",
            ids("ab", "ab", "a", "b", "b"),
            ids("bc", "bc", UUID, "b", "c"),
            Case(
                "ids-of-a-script-failure",
                PLAIN,
                post("raise", **{A: "a", C: "c"}),
                Answer(500, None, {A: "a", B: "c", C: "c"}),
            ),
        ),
        rule(
            f"An `x-request-id` over 100 characters is answered with 431 `{BY_A}`, on any route, without that header.",
            too_long("a", post("x", **{A: TOO_LONG}), BY_A),
            too_long("a-root", get("/", **{A: TOO_LONG}), BY_A),
            too_long("a-swagger", get("/swagger.json", **{A: TOO_LONG, B: "b"}), BY_A),
        ),
        rule(
            f"One of the others over 100 characters is answered with 431 `{BY_B_OR_C}`, without these two.",
            too_long("b", post("x", **{A: "a", B: TOO_LONG}), BY_B_OR_C, a="a"),
            too_long("c", get("/", **{A: "a", B: "b", C: TOO_LONG}), BY_B_OR_C, a="a"),
            Case(
                "ids-longest", PLAIN, post("x", **{B: LONGEST, C: LONGEST}), Answer(200, None, {B: LONGEST, C: LONGEST})
            ),
        ),
        rule(
            "`x-ms-server-version` is `scoregate/` and the version (theirs: `azmlinfsrv/`).",
            Case(
                "version",
                PLAIN,
                post("x"),
                Answer(200, None, {"x-ms-server-version": Match(r"^{product}/\d+\.\d+\.\d+$")}),
            ),
            Case("version-root", PLAIN, get("/"), Answer(200, None, {"x-ms-server-version": Match("^{product}/")})),
        ),
        rule(
            "`SERVER_VERSION_LOG_RESPONSE_ENABLED=false` leaves it out.",
            Case("version-off", SET, post("x"), Answer(200, None, {"x-ms-server-version": None})),
        ),
        rule(
            "`x-ms-run-function-failed` is `True` or `False` on each answer that `run()` gave as a value or an "
            "`AMLResponse`, on `/swagger.json`, and on each failure.",
            Case("failed-false", PLAIN, post("x"), answers("x", x_ms_run_function_failed="False")),
            Case("failed-true", PLAIN, post("raise"), failure(500, failed="True")),
            Case("failed-not-run", PLAIN, post(b"\xff"), failure(400, failed="False")),
            Case(
                "failed-swagger", PLAIN, get("/swagger.json"), Answer(200, None, {"x-ms-run-function-failed": "False"})
            ),
            Case("failed-root", PLAIN, get("/"), Answer(200, None, {"x-ms-run-function-failed": None})),
        ),
        rule(
            "It is `True` on each response of the script with a status of 500 or more.",
            Case(
                "failed-flask-503",
                PLAIN,
                post("flask 503"),
                Answer(503, "later", HTML | {"x-ms-run-function-failed": "True"}),
            ),
            Case(
                "failed-aml-500",
                PLAIN,
                post("aml 500"),
                Answer(500, "broken", HTML | {"x-ms-run-function-failed": "True"}),
            ),
        ),
        rule(
            "`x-ms-run-fn-exec-ms` is the time of `run()` in milliseconds with three decimals, when `run()` returned.",
            *(
                Case(
                    f"exec-{kind.replace(' ', '-')}",
                    PLAIN,
                    post(kind),
                    Answer(status, None, {"x-ms-run-fn-exec-ms": Match(r"^\d+\.\d{3}$")}),
                )
                for kind, status in {"dict": 200, "aml": 200, "flask response": 201, "aml 500": 500}.items()
            ),
            *(
                Case(f"exec-{kind}", PLAIN, post(kind), Answer(500, None, {"x-ms-run-fn-exec-ms": None}))
                for kind in ("raise", "set")
            ),
        ),
        rule(
            "`TraceId` is echoed.",
            Case("trace", PLAIN, post("x", TraceId="0af7"), Answer(200, None, {"TraceId": "0af7"})),
            Case("trace-root", PLAIN, get("/", TraceId="0af7"), Answer(200, None, {"TraceId": "0af7"})),
            Case("trace-failure", PLAIN, post("raise", TraceId="0af7"), Answer(500, None, {"TraceId": "0af7"})),
            Case("trace-none", PLAIN, post("x"), Answer(200, None, {"TraceId": None})),
        ),
        rule(
            "With `AML_CORS_ORIGINS`, a list with commas, a listed `Origin` is echoed as "
            "`Access-Control-Allow-Origin`, "
            "with `Vary: Origin`, on every route; another one gets neither.",
            cors("first", SET, ORIGINS[0], ORIGINS[0], "Origin"),
            cors("second", SET, ORIGINS[1], ORIGINS[1], "Origin"),
            cors("root", SET, ORIGINS[1], ORIGINS[1], "Origin", path="/"),
            cors("swagger", SET, ORIGINS[1], ORIGINS[1], "Origin", path="/swagger.json"),
            cors("other", SET, "https://c.example", None, None),
            Case(
                "cors-failure",
                SET,
                post("raise", Origin=ORIGINS[1]),
                failure(500, failed="True", **{CORS: ORIGINS[1], VARY: "Origin"}),
            ),
        ),
        rule(
            "A preflight of a listed origin is told the methods `GET, POST` and the headers it asked for.",
            cors(
                "preflight",
                SET,
                ORIGINS[1],
                ORIGINS[1],
                "Origin",
                method="OPTIONS",
                **{"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "content-type"},
            ),
            cors(
                "preflight-other",
                SET,
                "https://c.example",
                None,
                None,
                method="OPTIONS",
                **{"Access-Control-Allow-Methods": None},
            ),
        ),
        rule(
            "`AML_CORS_ORIGINS=*` echoes any origin, with `Vary: Origin`.",
            cors("star", STAR, "https://c.example", "https://c.example", "Origin"),
            cors(
                "star-preflight",
                STAR,
                "https://c.example",
                "https://c.example",
                "Origin",
                method="OPTIONS",
                **{"Access-Control-Allow-Methods": "GET, POST"},
            ),
        ),
        rule(
            "Without `AML_CORS_ORIGINS` there are none of these; a script may set its own in an `AMLResponse`.",
            cors("unset", PLAIN, ORIGINS[0], None, None),
            Case("cors-by-the-script", RAW, get("/score?show=cors"), Answer(200, "", {CORS: "*"})),
        ),
        rule(
            "404 and 405 carry these headers, too.",
            no_route(
                "ids",
                get("/nothing", **{A: "a", B: "b", C: "c", "TraceId": "t"}),
                404,
                **{A: "a", B: "b", C: "c", "TraceId": "t"},
            ),
            no_route("version", get("/score", "PUT"), 405, **{"x-ms-server-version": Match("^{product}/"), A: UUID}),
            no_route("too-long", get("/nothing", **{A: TOO_LONG}), 431, 404, **{A: None}),
            theirs="No header of these is on them but `x-ms-run-function-failed`, and no id is checked.",
        ),
    ),
)
