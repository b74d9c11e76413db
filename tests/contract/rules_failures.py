"""Failures."""

from asks import HANGS_S, ended, logged, replaced_by
from contract import (
    INTERNAL,
    SCRIPT_FAILED,
    Answer,
    Case,
    Group,
    Match,
    Request,
    answers,
    failure,
    get,
    post,
    post_json,
    rule,
    scenario,
)
from rules_body import MULTIPART, form
from rules_script import refused
from scenarios import PLAIN, RAW, SCHEMA, SET

TIMED_OUT = failure(500, "Scoring timeout after 700 ms", failed="True")
THEIR_TIMEOUT = failure(500, "Scoring timeout after 3600000 ms", failed="True")
UTF8 = "Input cannot be decoded as UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
JSON_ERROR = "POST body could not be decoded as JSON: "
NO_X = "A value is not provided for the 'x' parameter."
EXPECTS_JSON = "Expects Content-Type to be application/json"


def timed_out(what: str) -> Case:
    return Case(f"timeout-{what.replace(' ', '-')}", SET, (post(what), post("x")), (TIMED_OUT, answers("x")))


def schema(what: str, sent: Request, status: int, message: str | Match, theirs: Answer | None = None) -> Case:
    return Case(f"schema-{what}", SCHEMA, sent, failure(status, message), theirs)


def triton(name: str, what: str, status: int, **env: str) -> Case:
    there = scenario("triton", TRITON_SERVER="{triton}", SILENT_SERVER="{silent}", **env)
    told = failure(status, failed="True")
    return Case(
        f"{name}-{what.replace(' ', '-')}",
        there,
        post(what),
        told,
        None if env else THEIR_TIMEOUT if what == "slow" else SCRIPT_FAILED,
    )


def refused_setting(name: str, value: str, theirs: object = None) -> Case:
    """A start that ends; where theirs differs, ours says so in a single line."""
    there = scenario("plain", wait=False, **{name: value})
    said = f"^[^\n]*{name}[^\n]*\n$" if theirs else name
    return Case(f"{name}={value}", there, ended(HANGS_S), (3, Match(said)), theirs)


RARE = ("KeyboardInterrupt", "GeneratorExit", "BaseException")
HTML_500 = Answer(500, Match("<h1><p>Internal Server Error"), {"x-request-id": None})
BAD = {"a wrong tensor": 400, "no such model": 400, "gone": 503, "slow": 504}

GROUP = Group(
    "Failures",
    (
        rule(
            "A `run()` that raises is answered with 500 `An unexpected error occurred in scoring script. Check the "
            "logs "
            "for more info.` and `x-ms-run-function-failed: True`; Flask's `abort()` raises, too.",
            Case("raises", PLAIN, post("raise"), SCRIPT_FAILED),
            Case("aborts", PLAIN, post("abort"), SCRIPT_FAILED),
            Case("aborts-413", RAW, get("/score?show=abort"), SCRIPT_FAILED),
            Case("cannot-convert", SCHEMA, post_json({"x": "no array"}), SCRIPT_FAILED),
        ),
        rule(
            "So is one that raises what is no `Exception`: `KeyboardInterrupt`, a panic of a library in Rust.",
            *(Case(f"raises-{each}", PLAIN, post(f"raise {each}"), SCRIPT_FAILED, theirs=HTML_500) for each in RARE),
            theirs="500 with an HTML page and no headers.",
        ),
        rule(
            "The traceback is in the log, and not in the answer.",
            Case("traceback", PLAIN, logged(post("raise"), "ValueError: a secret of the script"), "in the log"),
        ),
        rule(
            "One that is not done after `SCORING_TIMEOUT_MS` is interrupted, also while it computes, and answered "
            "with 500 "
            "`Scoring timeout after N ms` and `x-ms-run-function-failed: True`; the worker goes on.",
            timed_out("sleep"),
            timed_out("compute"),
        ),
        rule(
            "An answer in parts, a generator's, begins in that time, or is answered as any other late request.",
            Case("timeout-late-stream", SET, post("late stream"), TIMED_OUT, theirs=Answer(200, "late")),
            theirs="200, however late it begins.",
        ),
        rule(
            "A `TimeoutError` of the script's own is an error as any other.",
            Case(
                "timeout-error",
                PLAIN,
                post("timeout error"),
                SCRIPT_FAILED,
                theirs=THEIR_TIMEOUT,
            ),
            theirs="`Scoring timeout after 3600000 ms`, at once.",
        ),
        rule(
            "What JSON has no form for is answered with 500 `An unexpected internal error occurred. Check the logs for "
            "more info.`",
            Case("not-serialisable", PLAIN, post("set"), INTERNAL),
        ),
        rule(
            "A body that is not UTF-8 is answered with 400 `Input cannot be decoded as UTF-8: …`.",
            Case("not-utf-8", PLAIN, post(b"\xff"), failure(400, UTF8)),
        ),
        rule(
            "A schema script's, too.",
            schema("not-utf-8", post(b"\xff", "application/json"), 400, Match("."), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "One whose `Content-Encoding` is neither gzip nor deflate is answered with 415, one that cannot be "
            "unpacked with 400, unless the script has `@rawhttp`.",
            Case(
                "packed-otherwise",
                PLAIN,
                post("x", content_encoding="br"),
                failure(415, Match("'br'"), Accept_Encoding="gzip, deflate"),
                theirs=answers("x"),
            ),
            Case(
                "not-packed",
                PLAIN,
                post("x", content_encoding="gzip"),
                failure(400, Match("^The request's body cannot be unpacked")),
                theirs=answers("x"),
            ),
            theirs="`run()` gets it as it was sent.",
        ),
        rule(
            "A multipart form of more than 10,000 parts is answered with 413.",
            Case(
                "raw-many-parts",
                RAW,
                post(form(*[b""] * 10_001), MULTIPART, path="/score?show=length"),
                failure(413, "The form has more than 10000 parts. Send less in one request."),
                theirs=SCRIPT_FAILED,
            ),
            Case(
                "raw-parts",
                RAW,
                post(form(*[b""] * 10_000), MULTIPART, path="/score?show=length"),
                answers([0] * 10_000),
                theirs=SCRIPT_FAILED,
            ),
            theirs="500 for more than 1,000, as for what `run()` raises.",
        ),
        rule(
            "A schema script's body that is not JSON is answered with 400 `POST body could not be decoded as JSON: …`.",
            schema(
                "cut-off",
                post("{", "application/json"),
                400,
                f"{JSON_ERROR}Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
        ),
        rule(
            "An empty one with 400 `POST body is empty. Expecting a JSON dictionary.`",
            schema("empty", post("", "application/json"), 400, "POST body is empty. Expecting a JSON dictionary."),
        ),
        rule(
            "One that is no object with 400 `POST body should be a JSON dictionary.`",
            *(
                schema(f"body-{sent}", post(sent, "application/json"), 400, "POST body should be a JSON dictionary.")
                for sent in ("[1]", '"x"', "null", "1")
            ),
        ),
        rule(
            f"One without a parameter that has no default with 400 `{NO_X}`",
            schema("lacks-x", post_json({"y": 1}), 400, NO_X),
            schema("get-lacks-x", get("/score?y=1"), 400, NO_X),
        ),
        rule(
            f"One with another content type with 415 `{EXPECTS_JSON}`",
            *(
                schema(f"type-{each}", post('{"x": [[1]]}', each), 415, EXPECTS_JSON)
                for each in ("text/plain", "application/x-www-form-urlencoded", None)
            ),
        ),
        rule(
            "A script that cannot be imported, or whose `init()` raises or exits, ends the process with exit code 3 "
            "and "
            "the reason in the log.",
            refused("init_raises", "the weights are missing"),
            refused("import_raises", "no_such_module"),
            refused("init_exits", "SystemExit"),
            refused("not_there", "not_there.py"),
        ),
        rule(
            "A setting that cannot be used ends the process with exit code 3 and its name in the log.",
            refused_setting("SCORING_TIMEOUT_MS", "soon"),
        ),
        rule(
            "Each setting does, in one line: `WORKER_COUNT=two`, `WORKER_TIMEOUT=soon`.",
            refused_setting("WORKER_COUNT", "two", theirs=(1, Match("Traceback.*invalid literal"))),
            refused_setting("WORKER_TIMEOUT", "soon", theirs=(2, Match("--timeout"))),
            theirs="Exit code 1 after a traceback, or 2 after Gunicorn's usage.",
        ),
        rule(
            "`WORKER_COUNT=0` is refused, too.",
            refused_setting("WORKER_COUNT", "0", theirs=("goes on", "no answer")),
            theirs="It runs without workers: connections are accepted and never answered.",
        ),
        rule(
            "An `AML_APP_ROOT` that is not there ends the process with exit code 3.",
            Case(
                "no-app-root",
                scenario("plain", wait=False, AML_APP_ROOT="/not/there"),
                ended(),
                (3, Match("/not/there")),
            ),
        ),
        rule(
            "`SystemExit` in `run()` is answered with 500 as what `run()` raises, and the worker is replaced.",
            Case(
                "exit",
                PLAIN,
                replaced_by(post("exit")),
                (SCRIPT_FAILED, "another worker"),
                theirs=(HTML_500, "the same worker"),
            ),
            theirs="500 with an HTML page and no headers; the worker goes on.",
        ),
        rule(
            "What goes wrong at Triton has a status of its own: 400 for a tensor or a model that it refuses, 503 when "
            "it "
            "cannot be reached, 504 when it does not answer in time.",
            *(triton("triton", what, status) for what, status in BAD.items()),
            theirs="500, as for what `run()` raises; at once `Scoring timeout after 3600000 ms` for the last.",
        ),
        rule(
            "With `AZUREML_STRICT_STATUS=true` it is 500 for these, too.",
            *(triton("strict", what, 500, AZUREML_STRICT_STATUS="true") for what in BAD),
        ),
        rule(
            "In both modes the rows above these two stay as they are.",
            *(
                Case(f"strict-{kind}", scenario("plain", AZUREML_STRICT_STATUS="true"), post(sent), told)
                for kind, sent, told in [
                    ("raises", "raise", SCRIPT_FAILED),
                    ("not-serialisable", "set", INTERNAL),
                    ("not-utf-8", b"\xff", failure(400, UTF8)),
                ]
            ),
        ),
    ),
)
