"""Answers."""

from asks import stream
from contract import (
    HTML,
    INTERNAL,
    JSON,
    SCRIPT_FAILED,
    Answer,
    Case,
    Group,
    Json,
    Match,
    answers,
    post,
    rule,
    scenario,
)
from scenarios import PLAIN

INTERNAL_BODY = b'{"message": "An unexpected internal error occurred. Check the logs for more info."}'


def says(kind: str, expected: Answer, theirs: Answer | None = None) -> Case:
    return Case(f"answer-{kind.replace(' ', '-')}", PLAIN, post(kind), expected, theirs)


def json_text(text: str) -> Answer:
    return Answer(200, text, JSON | {"x-ms-run-function-failed": "False"})


GROUP = Group(
    "Answers",
    (
        rule(
            "What JSON can say is answered with 200, `application/json`, written as `json.dumps` does.",
            says("dict", json_text('{"a": 1, "b": [null, true, 2.5]}')),
            says("list", json_text('[1, "x"]')),
            says("number", json_text("0.1")),
            says("true", json_text("true")),
            says("unicode", json_text('{"\\u00fc": "\\u20ac"}')),
            says("integer keys", json_text('{"1": "one"}')),
            says("not a number", json_text("[NaN, Infinity]")),
        ),
        rule(
            "A `str` is quoted.",
            says("text", json_text('"say \\"hello\\""')),
            says("empty text", json_text('""')),
        ),
        rule("`None` is answered as `{}`.", says("none", json_text("{}"))),
        rule("A tuple is a list.", says("tuple", json_text("[1, [2, 3]]"))),
        rule(
            "A Flask `Response` passes with its own status, body and headers.",
            says(
                "flask response",
                Answer(201, "made by hand", HTML | {"X-Own": "yes", "x-ms-run-function-failed": None}),
            ),
        ),
        rule(
            "`AMLResponse(message, status_code)` passes with its own status, as `text/html`; the message is text or "
            "bytes.",
            says("aml", Answer(200, "hello", HTML | {"x-ms-run-function-failed": "False"})),
            says("aml bytes", Answer(202, b"\x00\xff", HTML)),
        ),
        rule(
            "With `json_str=True` the message is written as JSON, `application/json`.",
            says("aml json", Answer(201, '{"a": [1]}', JSON | {"x-ms-run-function-failed": "False"})),
            says("aml json text", Answer(200, '"x"', JSON)),
            says("aml json headers", Answer(200, "[1]", JSON | {"X-Own": "1"})),
        ),
        rule(
            "It may then hold all that an answer may: arrays, dates, frames.",
            says("aml dates", Answer(200, Json([[0.5, None], "2024-02-29"]), JSON), theirs=SCRIPT_FAILED),
            theirs="500, as for what `run()` raises.",
        ),
        rule("With `None` for a message it is `{}`, `application/json`.", says("aml none", Answer(404, "{}", JSON))),
        rule(
            "`response_headers` are added; a `Content-Type` replaces `text/html`; a value with commas becomes one "
            "header "
            "for each part.",
            says("aml headers", Answer(200, "a,b", {"Content-Type": "text/csv", "X-Own": ["1", "2"]})),
        ),
        rule(
            "`run_function_failed=True` sets `x-ms-run-function-failed: True`.",
            says("aml failed", Answer(400, "no", HTML | {"x-ms-run-function-failed": "True"})),
        ),
        rule(
            "A generator for a message is streamed, chunked, each part when it is there.",
            Case("answer-aml-stream", PLAIN, stream(post("aml stream")), ("chunked", "one by one", b"firstsecond")),
        ),
        rule(
            "numpy arrays and scalars, also inside of what JSON can say, are answered as JSON.",
            says("array", answers([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), theirs=INTERNAL),
            says("scalar", answers(7), theirs=INTERNAL),
            says("nested arrays", answers({"labels": ["cat"], "scores": [0.5]}), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "In an answer that holds arrays, `NaN` and infinities are `null`.",
            says("array with nan", answers({"scores": [0.5, None, None], "best": None}), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "Dates and times of `datetime`, numpy and pandas are answered as ISO 8601, `NaT` as `null`, durations in "
            "seconds: `2024-02-29`, `2024-02-29T12:30:00`, `PT1.5S`.",
            says(
                "dates",
                answers({"day": "2024-02-29", "time": "2024-02-29T12:30:00+00:00", "took": "PT1.5S"}),
                theirs=INTERNAL,
            ),
            says("dates of numpy", answers([["2024-02-29T12:30:00", None], "2024-02-29", None]), theirs=INTERNAL),
            says("dates of pandas", answers(["2024-02-29T12:30:00", None]), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "A `pandas.DataFrame` is answered as a list of records, a `Series` or an `Index` as a list; missing values "
            "are `null`.",
            says(
                "frame",
                answers([{"label": "cat", "day": "2024-02-29T00:00:00"}, {"label": None, "day": None}]),
                theirs=INTERNAL,
            ),
            says("series", answers({"counts": [1, None]}), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "A key of a dict may be a number of numpy's, a date, or `bytes`; it is written as such a value is.",
            says("other keys", json_text('{"3": 1, "2024-02-29": 2, "cat": 3}'), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "`bytes` are answered as `application/octet-stream`.",
            says(
                "bytes",
                Answer(
                    200,
                    b"\x00\xff",
                    {
                        "Content-Type": "application/octet-stream",
                        "x-ms-run-function-failed": "False",
                        "x-ms-run-fn-exec-ms": Match("."),
                    },
                ),
                theirs=INTERNAL,
            ),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "A generator is streamed, as one in an `AMLResponse`.",
            Case(
                "answer-generator",
                PLAIN,
                stream(post("generator")),
                ("chunked", "one by one", b"firstsecond"),
                theirs=(500, "at once", INTERNAL_BODY),
            ),
            theirs="500, an unexpected internal error.",
        ),
        rule(
            "`async def run` is awaited.",
            Case("answer-async", scenario("awaited"), post("x"), answers({"awaited": "x"}), theirs=INTERNAL),
            theirs="500, an unexpected internal error.",
        ),
    ),
)
