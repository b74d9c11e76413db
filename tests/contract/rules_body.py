"""How the body reaches run()."""

import gzip
import json
import zlib
from urllib.parse import quote

from contract import (
    HTML,
    INTERNAL,
    JSON,
    SCRIPT_FAILED,
    Answer,
    Case,
    Group,
    Holds,
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
from scenarios import PLAIN, RAW, SCHEMA

TYPES = ["application/json", "text/plain", "application/octet-stream", "image/png", None]
FORM = "application/x-www-form-urlencoded"
PART = b'--cut\r\nContent-Disposition: form-data; name="image"; filename="cat.png"\r\n\r\n\x89PNG\xff\r\n--cut--\r\n'
MULTIPART = "multipart/form-data; boundary=cut"
BODY = 'a=1&b=%20 "ü"\n'
GZIPPED = gzip.compress(BODY.encode(), mtime=0)
PACKED = Match("^Input cannot be decoded as UTF-8: ")


def form(*values: bytes) -> bytes:
    """A multipart form of text fields."""
    parts = [b'--cut\r\nContent-Disposition: form-data; name="field"\r\n\r\n%s\r\n' % value for value in values]
    return b"".join([*parts, b"--cut--\r\n"])


def query(text: str, value: object) -> Case:
    return Case(f"query-{text or 'none'}", PLAIN, get(f"/score?{text}"), answers(json.dumps(value)))


def raw(method: str, path: str = "/score?show=&b=2") -> Case:
    told = {"method": method, "path": "/score", "args": {"show": "", "b": "2"}, "own": "yes"}
    return Case(f"raw-{method.lower()}", RAW, Request(method, path, b"", {"X-Own": "yes"}), answers(told))


def schema(what: str, sent: object, told: dict[str, object]) -> Case:
    return Case(f"schema-{what}", SCHEMA, post_json(sent), Answer(200, Holds(told), JSON))


ONLY_3_1 = scenario("schema", script="only_3_1.py")
ODD = '[NaN, -0, -0.0, 1e400, 18446744073709551616, 5e-324, "\\ud800", {"a": 1, "b": 2, "a": 3}]'
LOADED = "{'a': [1, 2.5, True, None, 'ü']}"
LOADED_ODD = "[nan, 0, -0.0, inf, 18446744073709551616, 5e-324, '\\ud800', {'a': 3, 'b': 2}]"
NOT_LOADED = "JSONDecodeError(\"Expecting ',' delimiter: line 1 column 4 (char 3)\")"
UNSUPPORTED = "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3.1]."
X = [[1, 2]]
NUMPY = ["ndarray", "float64", [[1.0, 2.0]]]
PEOPLE = [{"age": 41, "name": "Bea"}, {"age": 52, "name": "Cy"}]

GROUP = Group(
    "How the body reaches `run()`",
    (
        rule(
            "An undecorated `run()` gets the body of a POST as a UTF-8 `str`, verbatim, whatever the content type, as "
            "its "
            "first parameter.",
            *(Case(f"body-{each}", PLAIN, post(BODY, each), answers(BODY)) for each in TYPES),
            Case("body-type", PLAIN, post("parameter"), answers("str")),
            Case("body-empty", PLAIN, post(""), answers("")),
            Case("body-byte-order-mark", PLAIN, post(b"\xef\xbb\xbfx"), answers("\ufeffx")),
            Case("body-chunked", PLAIN, post([b"one,", b"two"]), answers("one,two")),
        ),
        rule(
            "`json.loads()` gives a script what it gives everywhere, and raises what it raises everywhere.",
            Case("loads", PLAIN, post('loads {"a": [1, 2.5, true, null, "\u00fc"]}'), answers(LOADED)),
            Case("loads-odd", PLAIN, post(f"loads {ODD}"), answers(LOADED_ODD)),
            Case("loads-not", PLAIN, post("loads [1 2]"), answers(NOT_LOADED)),
        ),
        rule(
            "Form content types are no exception; `curl -d` sends one if not told otherwise.",
            *(
                Case(f"body-{each}", PLAIN, post(sent, each), answers(told), theirs=answers(""))
                for each, sent, told in [
                    (FORM, BODY, BODY),
                    ("multipart/form-data; boundary=x", "--x\r\nnot a form", "--x\r\nnot a form"),
                ]
            ),
            theirs="`run()` gets an empty `str`.",
        ),
        rule(
            "For a GET it gets the query as a JSON object, in a `str`: each value parsed as JSON or else as it is; "
            "values "
            "of a repeated name become a list; no query is `{}`.",
            query("", {}),
            query("a=1&b=[1,2]&c=x&d=null&e=true", {"a": 1, "b": [1, 2], "c": "x", "d": None, "e": True}),
            query("n=1&n=two&n=", {"n": [1, "two", ""]}),
            query("u=%C3%BC&plus=a+b", {"u": "ü", "plus": "a b"}),
        ),
        rule(
            "With `@rawhttp`, `run()` gets the Flask request, whatever the method; `AMLRequest` is a Flask request "
            "class.",
            raw("GET"),
            raw("POST"),
            raw("OPTIONS"),
            Case("raw-kind", RAW, get("/score?show=kind"), answers([True, True])),
        ),
        rule(
            "Its body, JSON, form fields and files are Flask's.",
            Case("raw-body", RAW, post(b"\x00\xff", "image/png", path="/score?show=body"), answers("\x00\xff")),
            Case("raw-body-chunked", RAW, post([b"\x00", b"\xff"], path="/score?show=body"), answers("\x00\xff")),
            Case("raw-json", RAW, post_json({"a": [1]}, path="/score?show=json"), answers({"a": [1]})),
            Case("raw-form", RAW, post("a=1&b=+x", FORM, path="/score?show=form"), answers({"a": "1", "b": " x"})),
            Case(
                "raw-file",
                RAW,
                post(PART, MULTIPART, path="/score?show=file"),
                answers(["cat.png", "\x89PNG\xff"]),
            ),
        ),
        rule(
            "A packed body and its `Content-Encoding` reach a `@rawhttp` script as they were sent.",
            Case(
                "raw-packed",
                RAW,
                post(GZIPPED, path="/score?show=packed", content_encoding="gzip"),
                answers(["gzip", GZIPPED.decode("latin-1")]),
            ),
        ),
        rule(
            "For an undecorated `run()` and `@input_schema` a body with `Content-Encoding: gzip` or `deflate` is "
            "unpacked.",
            Case("gzip", PLAIN, post(GZIPPED, content_encoding="gzip"), answers(BODY), theirs=failure(400, PACKED)),
            Case(
                "gzip-chunked",
                PLAIN,
                post([GZIPPED[:9], GZIPPED[9:]], content_encoding="gzip"),
                answers(BODY),
                theirs=failure(400, PACKED),
            ),
            Case(
                "deflate",
                PLAIN,
                post(zlib.compress(BODY.encode()), content_encoding="deflate"),
                answers(BODY),
                theirs=failure(400, PACKED),
            ),
            Case(
                "schema-gzip",
                SCHEMA,
                post(gzip.compress(b'{"x": [[1, 2]]}'), "application/json", content_encoding="gzip"),
                Answer(200, Holds({"x": NUMPY}), JSON),
                theirs=INTERNAL,
            ),
            theirs="It is not: 400 `Input cannot be decoded as UTF-8: …`, with `@input_schema` 500.",
        ),
        rule(
            "A text field of a multipart form may be as large as the body.",
            Case(
                "raw-large-field",
                RAW,
                post(form(b"x" * 600_000), MULTIPART, path="/score?show=length"),
                answers([600_000]),
                theirs=SCRIPT_FAILED,
            ),
            theirs="500 for one of more than 500 kB, as for what `run()` raises.",
        ),
        rule(
            "With `@input_schema`, `run()` gets the members of the body's JSON object as keywords, converted by "
            "inference-schema: numpy, pandas, Python's own types, and nested ones.",
            schema("numpy", {"x": X}, {"x": NUMPY}),
            schema(
                "pandas",
                {"x": X, "people": PEOPLE},
                {"people": ["DataFrame", {"age": [41, 52], "name": ["Bea", "Cy"]}]},
            ),
            schema("python", {"x": X, "count": 5}, {"count": 5}),
            schema("nested", {"x": X, "image": {"pixels": [1, 2], "label": "dog"}}, {"image": ["ndarray", "dog"]}),
            schema("undeclared", {"x": X, "note": {"any": 1}}, {"note": {"any": 1}}),
        ),
        rule(
            "Parameters that are left out have their defaults; members that are no parameter are ignored.",
            schema("defaults", {"x": X, "extra": 1}, {"count": 1, "note": "none", "people": ["DataFrame", {}]}),
        ),
        rule(
            "A GET takes these keywords from the query, read as above.",
            Case(
                "schema-get",
                SCHEMA,
                get(f"/score?x={quote('[[1, 2]]')}&count=5&note=hi"),
                Answer(200, Holds({"x": NUMPY, "count": 5, "note": "hi"}), JSON),
            ),
        ),
        rule(
            "The content type may have parameters, or end in `+json`.",
            *(
                Case(f"schema-{each}", SCHEMA, post('{"x": [[1, 2]]}', each), Answer(200, Holds({"x": NUMPY}), JSON))
                for each in ("application/json; charset=utf-8", "application/vnd.api+json")
            ),
        ),
        rule(
            "`request_headers` is given beside them.",
            Case("schema-headers", SCHEMA, post_json({"x": X}, x_own="yes"), Answer(200, Holds({"own": "yes"}), JSON)),
        ),
        rule(
            "`OPTIONS /score` and `HEAD /score` do not reach these scripts either.",
            Case("schema-options", SCHEMA, get("/score", "OPTIONS"), Answer(200, "", HTML)),
            Case("schema-head", SCHEMA, get("/score", "HEAD"), Answer(405, "", JSON)),
        ),
        rule(
            "`/swagger.json` says what they take and return, with inference-schema's examples.",
            Case(
                "schema-swagger",
                SCHEMA,
                get("/swagger.json"),
                Answer(
                    200,
                    Holds(
                        {
                            "definitions/ServiceInput/type": "object",
                            "definitions/ServiceInput/properties/x/type": "array",
                            "definitions/ServiceInput/properties/count": {"type": "integer", "format": "int64"},
                            "definitions/ServiceInput/example/x": [[1.0, 2.0]],
                            "definitions/ServiceInput/example/people": [{"age": 30, "name": "Ann"}],
                            "definitions/ServiceInput/example/image": {"pixels": [0], "label": "cat"},
                            "definitions/ServiceOutput/type": "array",
                            "definitions/ServiceOutput/example": [0.5],
                        }
                    ),
                    JSON,
                ),
            ),
            Case(
                "schema-swagger-3",
                SCHEMA,
                get("/swagger.json?version=3.1"),
                Answer(
                    200,
                    Holds({"components/schemas/ServiceInput/example/x": [[1.0, 2.0]], "openapi": "3.1.0"}),
                    JSON,
                ),
            ),
        ),
        rule(
            "A version that inference-schema cannot write for the script's types answers 404 `Swagger version [2] is "
            "not "
            "supported for the scoring script. Supported swagger versions: [3.1].`",
            Case("schema-swagger-unsupported", ONLY_3_1, get("/swagger.json"), failure(404, UNSUPPORTED)),
            Case("schema-swagger-supported", ONLY_3_1, get("/swagger.json?version=3.1"), Answer(200, None, JSON)),
        ),
    ),
)
