"""Routes."""

from asks import during_init
from contract import HTML, JSON, Answer, Case, Group, Holds, Json, Match, answers, failure, get, post, rule, scenario
from scenarios import PLAIN, RAW

HEALTHY = Answer(200, "Healthy", HTML | {"Content-Length": "7"})


def swagger(openapi: str) -> Answer:
    version = {"swagger" if openapi.startswith("2") else "openapi": openapi}
    return Answer(200, Holds(version), JSON)


V9 = "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."

GROUP = Group(
    "Routes",
    (
        rule(
            "`GET /` answers 200 `Healthy`, `text/html; charset=utf-8`; `HEAD /` the same without the body.",
            Case("get-root", PLAIN, get("/"), HEALTHY),
            Case("head-root", PLAIN, get("/", "HEAD"), Answer(200, "", HEALTHY.headers)),
        ),
        rule(
            "`GET /` answers 503 while `init()` runs, and 200 when it is done.",
            Case(
                "init-runs",
                scenario("slow", wait=False, INIT_ENDS_WHEN="{release}"),
                during_init,
                ("503", "Healthy"),
                theirs=("no answer", "Healthy"),
            ),
            theirs="It accepts the connection and answers nothing until `init()` is done.",
        ),
        rule(
            "`POST /score` and `GET /score` call `run()`.",
            Case("post-score", PLAIN, post("hello"), answers("hello")),
            Case("get-score", PLAIN, get("/score"), answers("{}")),
        ),
        rule(
            "`OPTIONS /score` calls `run()` of a `@rawhttp` script; else it answers 200, empty, and `run()` is not "
            "called.",
            Case(
                "options-raw",
                RAW,
                get("/score?show=cors", "OPTIONS"),
                Answer(200, "", {"Access-Control-Allow-Methods": ["POST", "PUT"]}),
            ),
            Case("options-plain", PLAIN, get("/score", "OPTIONS"), Answer(200, "", {"x-ms-run-fn-exec-ms": None})),
        ),
        rule(
            "`HEAD /score` calls `run()` of a `@rawhttp` script; else it answers 405.",
            Case(
                "head-raw",
                RAW,
                get("/score?show=kind", "HEAD"),
                Answer(200, "", JSON | {"x-ms-run-fn-exec-ms": Match(".")}),
            ),
            Case(
                "head-plain",
                PLAIN,
                get("/score", "HEAD"),
                Answer(405, "", JSON | {"x-ms-run-function-failed": "False"}),
            ),
        ),
        rule(
            "Other methods on `/score` answer 405.",
            *(Case(f"{m.lower()}-score", PLAIN, get("/score", m), failure(405)) for m in ("PUT", "DELETE", "PATCH")),
            Case("put-raw", RAW, get("/score", "PUT"), failure(405)),
        ),
        rule(
            "`OPTIONS /` and `OPTIONS /swagger.json` answer 200, empty, with `Allow`; other methods on them answer "
            "405.",
            Case("options-root", PLAIN, get("/", "OPTIONS"), Answer(200, "", {"Allow": Match("GET")})),
            Case("options-swagger", PLAIN, get("/swagger.json", "OPTIONS"), Answer(200, "", {"Allow": Match("GET")})),
            Case("post-root", PLAIN, get("/", "POST"), failure(405)),
            Case("post-swagger", PLAIN, get("/swagger.json", "POST"), failure(405)),
        ),
        rule(
            "`GET /swagger.json` answers the service's description: Swagger 2.0.",
            Case("swagger", PLAIN, get("/swagger.json"), swagger("2.0")),
        ),
        rule(
            "`GET /swagger.json?version=` takes 2 and 2.0 (Swagger 2.0), 3 and 3.0 (OpenAPI 3.0.3), 3.1 (OpenAPI "
            "3.1.0).",
            *(
                Case(f"swagger-{asked}", PLAIN, get(f"/swagger.json?version={asked}"), swagger(told))
                for asked, told in {"2": "2.0", "2.0": "2.0", "3": "3.0.3", "3.0": "3.0.3", "3.1": "3.1.0"}.items()
            ),
        ),
        rule(
            f"Another version answers 404 `{V9}`",
            Case("swagger-9", PLAIN, get("/swagger.json?version=9"), failure(404, V9)),
            Case(
                "swagger-empty",
                PLAIN,
                get("/swagger.json?version="),
                failure(404, "Swagger version [] is not valid. Supported versions: [2, 3, 3.1]."),
            ),
        ),
        rule(
            "The description has the paths `/`, `/score` and `/swagger.json`, and the definitions `ServiceInput`, "
            "`ServiceOutput` and `ErrorResponse`; for an undecorated `run()` the first two are any object.",
            Case(
                "swagger-2-parts",
                PLAIN,
                get("/swagger.json"),
                Answer(
                    200,
                    Holds(
                        {
                            "schemes": ["https"],
                            "consumes": ["application/json"],
                            "produces": ["application/json"],
                            "paths/~1/get/operationId": "ServiceHealthCheck",
                            "paths/~1score/post/operationId": "RunMLService",
                            "paths/~1score/post/responses/200/schema": {"$ref": "#/definitions/ServiceOutput"},
                            "paths/~1swagger.json/get/operationId": "GetSwaggerSpec",
                            "definitions/ServiceInput": {"type": "object", "example": {}},
                            "definitions/ServiceOutput": {"type": "object", "example": {}},
                            "definitions/ErrorResponse/properties/message": {"type": "string"},
                        }
                    ),
                ),
            ),
            Case(
                "swagger-3-parts",
                PLAIN,
                get("/swagger.json?version=3"),
                Answer(
                    200,
                    Holds(
                        {
                            "paths/~1/get/operationId": "ServiceHealthCheck",
                            "paths/~1score/post/operationId": "RunMLService",
                            "paths/~1score/post/requestBody/content/application~1json/schema": {
                                "$ref": "#/components/schemas/ServiceInput"
                            },
                            "paths/~1swagger.json/get/operationId": "GetSwaggerSpec",
                            "components/schemas/ServiceInput": {"type": "object", "example": {}},
                            "components/schemas/ServiceOutput": {"type": "object", "example": {}},
                            "components/schemas/ErrorResponse/properties/message": {"type": "string"},
                        }
                    ),
                ),
            ),
        ),
        rule(
            "Any other path answers 404, `/score/` too.",
            *(
                Case(f"no-route-{name}", PLAIN, get(path, "POST"), failure(404))
                for name, path in {
                    "other": "/nothing",
                    "slash": "/score/",
                    "case": "/Score",
                    "below": "/score/x",
                }.items()
            ),
            Case("no-route-get", PLAIN, get("/score/"), failure(404)),
        ),
        rule(
            "`//score` equals `/score`.",
            Case("two-slashes", PLAIN, post("hello", path="//score"), answers("hello")),
            Case("two-slashes-get", PLAIN, get("//score?a=1"), Answer(200, Json('{"a": 1}'), JSON)),
        ),
    ),
)
