"""Settings, by Azure's names, and files."""

import json

from asks import line_with, logged, on_health_port, pids, replaced_by
from contract import (
    JSON,
    SCRIPT_FAILED,
    Answer,
    Case,
    Group,
    Holds,
    Match,
    Scenario,
    Server,
    answers,
    failure,
    get,
    post,
    rule,
    scenario,
)
from reference import SCRIPTS
from scenarios import PLAIN, SET

FILES = scenario("files")
BY_FILE = scenario(
    "configured", script="", AZUREML_CONFIG_FILE="{root}/service.json", SERVICE_VERSION="from the environment"
)
BY_CONFIG_JSON = scenario("configured")
PRELOADED = scenario("preload", WORKER_COUNT="2", WORKER_PRELOAD="true")
LOADED = scenario("preload", WORKER_COUNT="2")


def swagger(what: str, there: Scenario, members: dict[str, object], version: str = "") -> Case:
    return Case(f"swagger-{what}", there, get(f"/swagger.json{version}"), Answer(200, Holds(members), JSON))


def imported_in(server: Server) -> str:
    told = json.loads(post("x")(server).text)
    return next(name for name in ("pid", "parent", "imported in") if told[name] == told["imported in"])


GROUP = Group(
    "Settings",
    (
        rule(
            "`WORKER_COUNT` is the number of workers, 1 if not set.",
            Case("one-worker", PLAIN, pids, "one"),
            Case("two-workers", LOADED, pids, "several"),
        ),
        rule(
            "A worker that shows no sign of life for `WORKER_TIMEOUT` seconds is replaced.",
            Case(
                "worker-timeout",
                scenario("plain", WORKER_TIMEOUT="1"),
                lambda server: replaced_by(post("hold the interpreter"))(server)[1],
                "another worker",
            ),
        ),
        rule(
            "Each worker imports the script; with `WORKER_PRELOAD=true` it is imported once, before there are workers.",
            Case("not-preloaded", LOADED, imported_in, "pid"),
            Case("preloaded", PRELOADED, imported_in, "parent"),
        ),
        rule(
            "`AZUREML_MODEL_DIR`, `AML_APP_ROOT` and `AZUREML_ENTRY_SCRIPT` reach the script in its environment.",
            Case("environment", PLAIN, post("environment"), answers([*[str(SCRIPTS / "plain")] * 2, "score.py"])),
        ),
        rule(
            "So they do when a file or a default sets them, the directories absolute, and the script's path relative "
            "to `AML_APP_ROOT`.",
            Case("environment-by-file", BY_FILE, post("entry script"), answers("score.py"), theirs=SCRIPT_FAILED),
            theirs="They do not, and `os.environ[…]` raises.",
        ),
        rule(
            "`SERVICE_NAME` and `SERVICE_VERSION` are `/swagger.json`'s title and version; else they are `ML service` "
            "and "
            "`1.0`.",
            swagger("names", SET, {"info/title": "flowers", "info/version": "2.5"}),
            swagger("names-3", SET, {"info/title": "flowers", "info/version": "2.5"}, "?version=3"),
            swagger("default-names", PLAIN, {"info/title": "ML service", "info/version": "1.0"}),
        ),
        rule(
            "`SERVICE_PATH_PREFIX` stands before the paths in `/swagger.json`, and nowhere else.",
            swagger(
                "prefix",
                SET,
                {
                    "paths/~1api~1v1~1/get/operationId": "ServiceHealthCheck",
                    "paths/~1api~1v1~1score/post/operationId": "RunMLService",
                    "paths/~1api~1v1~1swagger.json/get/operationId": "GetSwaggerSpec",
                    "paths/~1score": "absent",
                },
            ),
            Case("prefix-not-in-routes", SET, post("x"), answers("x")),
        ),
        rule(
            "`AZUREML_LOG_LEVEL` is the least level that reaches the log: with `DEBUG` the script's `logging.debug()`.",
            Case("log-level", SET, logged(post("debug"), "said at level 10"), "in the log", theirs="not in the log"),
            theirs="Nothing of what the script logs below `WARNING` appears at any level.",
        ),
        rule(
            "With `SEPERATE_HEALTH_ENDPOINT=true`, `HEALTH_PORT` answers `GET /`, too. (Theirs takes the port from "
            "`--health_port`.)",
            Case("health-port", SET, on_health_port(get("/")), Answer(200, "Healthy")),
            Case("health-port-main", SET, get("/"), Answer(200, "Healthy")),
        ),
        rule(
            "`AZUREML_CONFIG_FILE` is a JSON file with these names; the environment goes before it; other names in it "
            "are "
            "ignored.",
            swagger(
                "config-file",
                BY_FILE,
                {"info/title": "from the file", "info/version": "from the environment"},
                "?version=3",
            ),
            Case(
                "config-file-number",
                BY_FILE,
                post("sleep"),
                failure(500, "Scoring timeout after 300 ms", failed="True"),
            ),
            Case("config-file-entry-script", BY_FILE, post("x"), answers("not in the environment")),
        ),
        rule(
            "A `config.json` in `AML_APP_ROOT` is the script's own; only one that `AZUREML_CONFIG_FILE` names counts.",
            Case(
                "config-json",
                BY_CONFIG_JSON,
                get("/swagger.json?version=3"),
                Answer(200, Holds({"info/title": "ML service"}), JSON),
                theirs=Answer(200, Holds({"info/title": "from config.json"}), JSON),
            ),
            theirs="It is read as settings.",
        ),
        rule(
            "`swagger.json`, or else `swagger2.json`, in `AML_APP_ROOT` is answered in place of Swagger 2.0.",
            swagger("file", FILES, {"from": "swagger.json"}),
            swagger("file-2.0", FILES, {"from": "swagger.json"}, "?version=2.0"),
            swagger("file-2", BY_CONFIG_JSON, {"from": "swagger2.json"}),
        ),
        rule(
            "`swagger3.json` is answered in place of OpenAPI 3.0.3, and not of 3.1.0.",
            swagger("file-3", FILES, {"from": "swagger3.json"}, "?version=3"),
            swagger("file-3.1", FILES, {"openapi": "3.1.0", "from": "absent"}, "?version=3.1"),
        ),
        rule(
            "`logging.json` in `AML_APP_ROOT`, in the form of `logging.config.dictConfig`, configures the log.",
            Case(
                "logging-json",
                FILES,
                line_with(post("x"), "said through logging.json"),
                Match("^OWN FORMAT my.script said through logging.json$"),
            ),
        ),
    ),
)
