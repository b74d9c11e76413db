"""The entry script."""

from typing import Any

from asks import ended, logged, started
from contract import JSON, SCRIPT_FAILED, Answer, Case, Group, Holds, Match, answers, get, post, rule, scenario
from reference import SCRIPTS
from scenarios import PLAIN

LAYOUT = scenario("layout", script="src/score.py", AZUREML_SOURCE_DIRECTORY="lib")
BESIDE = scenario("layout/src")
MODELS = scenario("models", AZUREML_MODEL_DIR="{root}/model", wait=False)
NO_PARAMETER = r"run\(\) (needs to accept an argument|takes no parameter)"
THEIR_KINDS = "run\\(\\) cannot accept positional-only arguments, \\*args, or \\*\\*kwargs"


def refused(name: str, reason: str, **env: str) -> Case:
    """A start that ends with exit code 3 and the reason in the log."""
    broken = scenario("broken", script=f"{name}.py", wait=False, **env)
    return Case(name.replace("_", "-"), broken, ended(), (3, Match(reason)))


def whose(name: str, there: Any, answer: str, theirs: Any = None) -> Case:
    return Case(f"whose-{name}", there, post(name), answers(answer), theirs)


def model_path(asked: str, found: str) -> Case:
    return Case(
        f"model-path-{asked}",
        MODELS,
        started(post(asked)),
        answers(found),
        theirs=(3, Match("No module named 'azureml")),
    )


OWN = "the script's own directory"

GROUP = Group(
    "Entry script",
    (
        rule(
            "The script is `AZUREML_ENTRY_SCRIPT` below `AML_APP_ROOT`. Its `__name__` is `entry_module`, its "
            "`__file__` "
            "absolute, its working directory the application root.",
            Case(
                "module",
                PLAIN,
                post("module"),
                answers(["entry_module", str(SCRIPTS / "plain" / "score.py"), str(SCRIPTS / "plain")]),
            ),
            Case("cwd-of-a-script-below", LAYOUT, post("cwd"), answers(str(SCRIPTS / "layout"))),
        ),
        rule(
            "`init()` is called once in each worker, before its first request.",
            Case("init-once", PLAIN, (post("calls of init"), post("calls of init")), (answers(1), answers(1))),
        ),
        rule(
            "A script without `init` or without `run` is refused at the start.",
            refused("no_init", "init\\(\\)"),
            refused("no_run", "run\\(\\)"),
        ),
        rule(
            "A `run` without a parameter besides `request_headers` is refused at the start.",
            refused("no_parameter", NO_PARAMETER),
            refused("only_headers", NO_PARAMETER),
        ),
        rule(
            "`run` may have further parameters with defaults, also keyword-only ones.",
            Case("defaults", scenario("broken", script="keyword_only.py"), post("x"), answers(["x", 2])),
        ),
        rule(
            "A `run` with `*args`, `**kwargs` or positional-only parameters is refused at the start.",
            refused("var_positional", THEIR_KINDS),
            refused("var_keyword", THEIR_KINDS),
            refused("positional_only", THEIR_KINDS),
        ),
        rule(
            "A `run` with both `@rawhttp` and `@input_schema` is refused at the start.",
            refused("both_decorators", "run\\(\\) cannot be decorated with both @rawhttp and @input_schema"),
        ),
        rule(
            "`request_headers`, if `run` declares it, is a dict of the request's headers with their names in "
            "Title-Case.",
            Case(
                "request-headers",
                PLAIN,
                post("headers", x_own_header="Value", TRACEID="t"),
                Answer(
                    200,
                    Holds(
                        {
                            "0": "dict",
                            "1/X-Own-Header": "Value",
                            "1/Traceid": "t",
                            "1/Content-Type": "text/plain",
                            "1/Content-Length": "7",
                        }
                    ),
                    JSON,
                ),
            ),
        ),
        rule(
            "If the script has an attribute `driver_module`, a module with `run()`, then the script's `init()` and "
            "that "
            "module's `run()` are called.",
            Case(
                "driver",
                scenario("driver", script="main.py"),
                post("x"),
                answers(["the driver's init()", "the driven module's run()", "x"]),
            ),
        ),
        rule(
            "Modules are found in `AML_APP_ROOT`, then in `AZUREML_SOURCE_DIRECTORY`, which is relative to it.",
            whose("in_root", LAYOUT, "the application root"),
            whose("in_source", LAYOUT, "the source directory"),
            whose("twice", LAYOUT, "the application root"),
        ),
        rule(
            "A module beside the script may be called as it likes: `metrics.py`, `settings.py`, `app.py`.",
            *(whose(name, BESIDE, OWN) for name in ("metrics", "settings", "app", "lifecycle")),
        ),
        rule(
            "So may it be called as a module of the server: `utils.py`, `config.py`, `swagger.py`, `exceptions.py`.",
            whose("utils", BESIDE, OWN, theirs=answers("the server's")),
            whose("config", BESIDE, OWN, theirs=SCRIPT_FAILED),
            whose("swagger", BESIDE, OWN, theirs=SCRIPT_FAILED),
            whose("exceptions", BESIDE, OWN, theirs=answers("the server's")),
            theirs="The script gets the server's own module of that name, or an `ImportError` from inside of it.",
        ),
        rule(
            "So may it be called as a package that the server needs but the script does not: `yarl.py`.",
            whose("yarl", BESIDE, OWN, theirs=answers("the server's")),
            theirs="The script gets the installed package.",
        ),
        rule(
            "Modules beside the script are found also when the script is in a folder below `AML_APP_ROOT`.",
            Case("below", LAYOUT, post("metrics"), answers(OWN), theirs=SCRIPT_FAILED),
            theirs="`ModuleNotFoundError`, unless `AZUREML_SOURCE_DIRECTORY` names the folder.",
        ),
        rule(
            "`rawhttp`, `AMLRequest` and `AMLResponse` come from `azureml.contrib.services.aml_request` and "
            "`.aml_response`, or from `azureml_inference_server_http.api.aml_request` and `.aml_response`: the same "
            "objects. `inference_schema` is the real package.",
            Case(
                "importable",
                scenario("names"),
                post("x"),
                answers(dict.fromkeys(["rawhttp", "AMLRequest", "AMLResponse", "inference_schema"], True)),
            ),
        ),
        rule(
            "They come from `azureml.contrib.services`, too.",
            Case(
                "importable-from-the-package",
                scenario("broken", script="package_import.py", wait=False),
                started(get("/score")),
                answers("GET"),
                theirs=(3, Match("No module named 'azureml")),
            ),
            theirs="`ModuleNotFoundError`: that package is another one and not installed.",
        ),
        rule(
            "`azureml.core.Model.get_model_path(name, version=None)`, also from `azureml.core.model`, finds a model in "
            "`AZUREML_MODEL_DIR`, else in `azureml-models/` below `AML_APP_ROOT` or the working directory: the one "
            "file or folder in `<name>/<version>/`, the highest version if none is given, or `<name>`.",
            model_path("digits", "two"),
            model_path("flowers", "four"),
            model_path("flowers:3", "three"),
            model_path("digits:1", "one"),
            model_path("labels.txt", "cat"),
            theirs="`ModuleNotFoundError`: azureml-core is another package and not installed.",
        ),
        rule(
            "`run()` may call `asyncio.run()`.",
            Case("asyncio-run", PLAIN, post("coroutine"), answers("done")),
        ),
        rule(
            "It may set an alarm of its own: what its handler of `SIGALRM` raises is raised in `run()`.",
            Case("alarm-while-waiting", PLAIN, post("alarm while waiting"), answers("the alarm")),
            Case("alarm-while-computing", PLAIN, post("alarm while computing"), answers("the alarm")),
        ),
        rule(
            "It may start a `multiprocessing.Process`, which runs to its end.",
            Case("process", PLAIN, post("process"), answers(0)),
        ),
        rule(
            "What the script prints appears in the log.",
            Case("print", PLAIN, logged(post("print"), "printed by the script"), "in the log"),
        ),
    ),
)
