"""The vocabulary of the contract: a rule, its cases, what is asked of a running server, and the expected answer."""

import http.client
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

ANSWER_DEADLINE_S = 8


class Server(Protocol):
    """A running server, ours or theirs."""

    ours: bool
    product: str
    url: str
    health_port: int
    release: Path  # a file that a script may wait for

    def log_text(self) -> str: ...

    def children(self, name: str) -> list[int]: ...

    def wait_end(self, deadline_s: float) -> int: ...


@dataclass(frozen=True)
class Scenario:
    """An entry script and the environment it is started in; `{root}` in a value is the application root.

    ours, theirs: what one of the servers gets in addition. wait: until it is ready; not so for a start that fails.
    """

    folder: str
    script: str = "score.py"
    env: tuple[tuple[str, str], ...] = ()
    ours: tuple[tuple[str, str], ...] = ()
    theirs: tuple[tuple[str, str], ...] = ()
    wait: bool = True


def scenario(
    folder: str,
    script: str = "score.py",
    ours: Mapping[str, str] | None = None,
    theirs: Mapping[str, str] | None = None,
    wait: bool = True,
    **env: str,
) -> Scenario:
    sorted_items = [tuple(sorted((each or {}).items())) for each in (env, ours, theirs)]
    return Scenario(folder, script, *sorted_items, wait)


class Match:
    """Equals each text in which the pattern is found; `{product}` stands for the server's name."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def __repr__(self) -> str:
        return f"/{self.pattern}/"

    def found_in(self, text: object, server: Server) -> bool:
        pattern = self.pattern.replace("{product}", server.product)
        return isinstance(text, str) and re.search(pattern, text, re.DOTALL) is not None


ANY = Match(".")


class Seen(NamedTuple):
    """An answer as it came; status 0: none came, and the body says so."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="backslashreplace")

    def header(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name.lower()]


@dataclass(frozen=True)
class Request:
    """What a client sends; a body of several parts goes chunked."""

    method: str = "POST"
    path: str = "/score"
    body: bytes | list[bytes] = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, server: Server, port: int | None = None, deadline_s: float = ANSWER_DEADLINE_S) -> Seen:
        connection = http.client.HTTPConnection("127.0.0.1", port or urlsplit(server.url).port, timeout=deadline_s)
        try:
            connection.request(
                self.method,
                self.path,
                iter(self.body) if isinstance(self.body, list) else self.body or None,
                {**self.headers, "Connection": "close"},
                encode_chunked=isinstance(self.body, list),
            )
            reply = connection.getresponse()
            return Seen(reply.status, reply.getheaders(), reply.read())
        except TimeoutError:
            return Seen(0, [], b"no answer")
        except (OSError, http.client.HTTPException) as error:
            return Seen(0, [], f"hung up: {type(error).__name__}".encode())
        finally:
            connection.close()


def post(body: str | bytes | list[bytes], content_type: str | None = "text/plain", **more: Any) -> Request:
    """POST /score; header names in `more` have _ for -."""
    path = more.pop("path", "/score")
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    if content_type:
        headers["Content-Type"] = content_type
    if isinstance(body, list):
        headers["Transfer-Encoding"] = "chunked"
    return Request("POST", path, body.encode() if isinstance(body, str) else body, headers)


def post_json(value: object, **more: Any) -> Request:
    return post(json.dumps(value), "application/json", **more)


def get(path: str, method: str = "GET", **headers: str) -> Request:
    return Request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Json(NamedTuple):
    """A JSON body with this value."""

    value: object


class Holds(NamedTuple):
    """A JSON body in which these members, named by their path with / between, have these values."""

    members: Mapping[str, object]


class Failure(NamedTuple):
    """The JSON body of a failure: {"message": …} and, on ours, its code and the request's id."""

    message: str | Match


@dataclass(frozen=True)
class Answer:
    """An expected answer. headers: None for absent, a list for a repeated one; others may be there, too."""

    status: int
    body: str | bytes | Match | Json | Holds | Failure | None = None
    headers: Mapping[str, str | Match | list[str] | None] = field(default_factory=dict)


JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


def answers(value: object, **headers: Any) -> Answer:
    """200 with this JSON value."""
    return Answer(200, Json(value), JSON | named(headers))


def failure(status: int, message: str | Match = ANY, failed: str = "False", **headers: Any) -> Answer:
    return Answer(status, Failure(message), JSON | {"x-ms-run-function-failed": failed} | named(headers))


def named(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


SCRIPT_FAILED = failure(
    500, "An unexpected error occurred in scoring script. Check the logs for more info.", failed="True"
)
INTERNAL = failure(500, "An unexpected internal error occurred. Check the logs for more info.")

Ask = Callable[[Server], Any]


@dataclass(frozen=True)
class Case:
    """One check of a rule. theirs: what their server answers instead, where the rule is better than it."""

    what: str
    scenario: Scenario
    ask: Ask | tuple[Request, ...]
    expected: Any
    theirs: Any = None


@dataclass(frozen=True)
class Rule:
    """A line of docs/api.md. theirs: what their server does instead, or "" where it does the same."""

    text: str
    cases: tuple[Case, ...]
    theirs: str = ""


def rule(text: str, *cases: Case, theirs: str = "") -> Rule:
    assert all((each.theirs is not None) <= bool(theirs) for each in cases), text
    assert not theirs or any(each.theirs is not None for each in cases), text
    return Rule(text, cases, theirs)


@dataclass(frozen=True)
class Group:
    """A section of docs/api.md."""

    title: str
    rules: tuple[Rule, ...]


def difference(expected: Any, seen: Any, server: Server) -> str:
    """Say in few words how what was seen differs from what was expected; "" if it does not."""
    if isinstance(expected, Answer) and isinstance(seen, Seen):
        return "; ".join(each for each in _answer_differences(expected, seen, server) if each)
    if isinstance(expected, tuple | list) and isinstance(seen, tuple | list) and len(expected) == len(seen):
        return "; ".join(filter(None, (difference(a, b, server) for a, b in zip(expected, seen, strict=True))))
    if isinstance(expected, Match):
        return "" if expected.found_in(seen, server) else f"{_short(seen)} instead of {expected!r}"
    return "" if expected == seen else f"{_short(seen)} instead of {_short(expected)}"


def _answer_differences(expected: Answer, seen: Seen, server: Server) -> list[str]:
    if expected.status != seen.status:
        return [f"{seen.status} {_short(seen.text)} instead of {expected.status}"]
    found = [_body_difference(expected.body, seen, server)]
    for name, value in expected.headers.items():
        came = seen.header(name)
        if isinstance(value, Match):
            same = len(came) == 1 and value.found_in(came[0], server)
        else:
            same = came == ([] if value is None else [value] if isinstance(value, str) else value)
        found.append("" if same else f"{name}: {came or 'absent'} instead of {value or 'absent'}")
    return found


def _body_difference(expected: Any, seen: Seen, server: Server) -> str:
    if expected is None:
        return ""
    if isinstance(expected, Match):
        return difference(expected, seen.text, server)
    if isinstance(expected, str | bytes):
        wanted = expected.encode() if isinstance(expected, str) else expected
        return "" if seen.body == wanted else f"{_short(seen.text)} instead of {_short(expected)}"
    try:
        value = json.loads(seen.body)
    except ValueError:
        return f"not JSON: {_short(seen.text)}"
    if isinstance(expected, Json):
        return difference(expected.value, value, server)
    if isinstance(expected, Holds):
        pairs = [(path, wanted, _member(value, path)) for path, wanted in expected.members.items()]
        return "; ".join(f"{path}: {told}" for path, a, b in pairs if (told := difference(a, b, server)))
    return _failure_difference(expected, value, seen, server)


def _failure_difference(expected: Failure, value: Any, seen: Seen, server: Server) -> str:
    if not isinstance(value, dict) or "message" not in value:
        return f"no message in {_short(value)}"
    if server.ours:
        echoed = seen.header("x-request-id")
        members = {"message", "code", "request_id", *(["detail"] if value.get("code") == "scoring_timeout" else [])}
        if set(value) != members or not re.fullmatch("[a-z_0-9]+", str(value["code"])):
            return f"members {sorted(value)} with code {value.get('code')!r} instead of {sorted(members)}"
        if echoed and value["request_id"] != echoed[0]:
            return f"request_id {value['request_id']!r} is not x-request-id {echoed[0]!r}"
    elif set(value) != {"message"}:
        return f"members {sorted(value)} instead of message"
    return difference(expected.message, value["message"], server)


def _member(value: Any, path: str) -> Any:
    for name in path.split("/"):
        name = name.replace("~1", "/")  # as in a JSON pointer
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return "absent"
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
