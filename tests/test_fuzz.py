"""Ten thousand strange requests: each is answered as the API says, and nobody else notices."""

import gzip
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service import ROOT, SCENARIOS, Service

IMAGE = (ROOT / "examples/digits/request.json").read_bytes()
DIGIT = [2]
LIMIT = 1000  # MAX_BODY_BYTES of the service with the echoing script
HANG_S = 10  # a reply that takes longer counts as none
FLOOD_S = 8  # how long a caller sends who is not hung up on

# The same requests in each run, so that a failure in CI is one that anybody can see again.
FUZZ = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
)


class Request(NamedTuple):
    method: bytes
    wire: bytes


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def request(
    method: bytes = b"GET",
    target: bytes = b"/health/live",
    headers: Sequence[bytes] = (),
    body: bytes | None = None,
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """Write a request; body is not None adds its Content-Length."""
    length = [] if body is None else [b"Content-Length: %d" % len(body)]
    lines = [b"%s %s %s" % (method, target, version), b"Host: localhost", *length, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunked(chunks: bytes, method: bytes = b"POST", target: bytes = b"/score") -> bytes:
    return request(method, target, [b"Transfer-Encoding: chunked"]) + chunks


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=HANG_S)


def exchange(
    service: Service, sent: bytes, methods: Sequence[bytes] = (), within_s: float = HANG_S, expected: int = 0
) -> list[Reply]:
    """Send, close our half, read to the end; a connection that is reset instead raises.

    Who closes its half has left. So that is done once the expected number of replies has begun to come.
    """
    with connect(service) as connection:
        connection.settimeout(within_s)
        connection.sendall(sent)
        raw = b""
        while len(re.findall(rb"HTTP/1\.\d [2-5]", raw)) < expected and (received := connection.recv(65536)):
            raw += received
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return list(replies(raw + stream.read(), methods))


def replies(raw: bytes, methods: Sequence[bytes]) -> Iterator[Reply]:
    """Cut what a connection gave into replies, interim ones left out. methods: of the requests, where HEAD is among."""
    asked = iter(methods)
    while raw:
        head, end, raw = raw.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.\d (\d{3}) .+", line)
        assert match, line
        assert end
        status = int(match[1])
        if status < 200:
            continue
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        length = 0 if next(asked, b"GET") == b"HEAD" else int(headers["content-length"])
        assert len(raw) >= length
        yield Reply(status, headers, raw[:length])
        raw = raw[length:]


def check(reply: Reply) -> None:
    """A reply is a success or a failure that the API knows, with an answer of the API's form."""
    assert reply.status == 200 or reply.status >= 400, reply
    assert reply.headers["x-request-id"], reply
    if reply.status == 200:
        return
    assert reply.headers["content-type"] == "application/json", reply
    if not reply.body:  # the answer to HEAD
        assert reply.status < 500, reply
        return
    assert b"Traceback" not in reply.body, reply
    failure = json.loads(reply.body)
    assert sorted(failure) == ["code", "message", "request_id"], reply
    assert failure["message"], reply
    assert failure["request_id"] == reply.headers["x-request-id"], reply
    assert (failure["code"] == "bad_request") <= (reply.status == 400), reply
    if reply.status >= 500:
        assert (reply.status, failure["code"]) in {(500, "script_failed"), (501, "not_implemented")}, reply


@contextmanager
def steady_client(service: Service) -> Iterator[set[tuple[int, str]]]:
    """Send valid requests, one after the other, as long as the block runs; gives what came back, each kind once."""
    seen = set()
    over = threading.Event()

    def send() -> None:
        with requests.Session() as session:
            while not over.wait(0.01):
                reply = session.post(service.url + "/score", data=IMAGE, timeout=HANG_S)
                seen.add((reply.status_code, str(reply.json().get("digit"))))

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield seen
        finally:
            over.set()
    sending.result()


METHODS = st.sampled_from(b"POST POST POST POST POST GET GET GET HEAD PUT DELETE OPTIONS TRACE QUERY A!B".split())
ORIGINS = st.sampled_from(
    [b""] * 12 + b"http://localhost http://[::1]:80 https://u:p@h HTTP://h:99999 a+b://x // /".split()
)
ROUTES = st.sampled_from(b"/score /score /score / /health/live /health/ready /metrics".split())
SEGMENTS = [
    *(b"", b"a" * 2000),
    *b"score health live ready . .. ~ @ * : ;a=b %2e%2e %00 %0d%0a %ff%fe %zz % %2f %F0%9F%99%82 %ed%a0%80".split(),
]
PATHS = st.lists(st.sampled_from(SEGMENTS), max_size=4).map(lambda segments: b"/" + b"/".join(segments))
URI_TEXTS = st.binary(max_size=20).map(lambda drawn: bytes(0x21 + byte % 0x5E for byte in drawn))
QUERIES = st.just(b"") | URI_TEXTS.map(lambda text: b"?" + text)
FIELD_NAMES = st.sampled_from(
    [
        b"a" * 200,
        *b"Accept Accept-Encoding Authorization Content-Encoding Content-Type Cookie Date Forwarded Origin".split(),
        *b"HTTP2-Settings If-None-Match Keep-Alive Range SCRIPT_NAME PATH_INFO TE Trailer Upgrade".split(),
        *b"X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-HTTP-Method-Override x_request_id !#$%&'*".split(),
    ]
)
FIELD_TEXTS = st.binary(max_size=20).map(lambda drawn: drawn.translate(None, bytes([*range(0x20), 0x7F])))
FIELD_VALUES = st.sampled_from(
    [
        *(b"", b"a" * 4000, b"text/csv; charset=utf-7", b"multipart/form-data; boundary="),
        *b"application/json application/x-www-form-urlencoded multipart/form-data".split(),
        *b"gzip websocket h2c https bytes=0-0 no-cache * ; , =".split(),
    ]
)
HEADERS = st.tuples(FIELD_NAMES, FIELD_TEXTS | FIELD_VALUES).map(b": ".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)
BODIES = st.one_of(
    st.sampled_from([IMAGE, b"", b"{}", b"[" * 5000, b'{"data":' * 2000, b'{"data": "\\ud800"}', b'{"data": 1e999}']),
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps({"data": value}).encode()),
    # Any 64 numbers: tiny, huge, infinite, NaN.
    st.binary(min_size=256, max_size=256).map(lambda row: json.dumps({"data": [struct.unpack("64f", row)]}).encode()),
    st.integers(0, 70).map(lambda rows: json.dumps({"data": [[0] * 64] * rows}).encode()),
)


@st.composite
def chunkings(draw: st.DrawFn, body: bytes) -> bytes:
    """Cut the body into chunks of one size, with extensions and trailers."""
    size = draw(st.integers(1, 200))
    extension = draw(st.sampled_from([b"", b"", b";a", b" ; a=b", b';a="\\"\xff"']))
    trailer = draw(st.sampled_from([b"", b"", b"X-Trailer: yes\r\n", b"x-request-id: trailer\r\n"]))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%X%s\r\n%s\r\n" % (len(each), extension, each) for each in pieces) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def strange_requests(draw: st.DrawFn) -> Request:
    """Draw a request that is valid HTTP/1.1, whatever it may ask for."""
    method, body = draw(METHODS), draw(BODIES)
    target = draw(ORIGINS) + draw(ROUTES | PATHS) + draw(QUERIES)
    headers = draw(st.lists(HEADERS, max_size=2, unique_by=lambda line: line.split(b":")[0]))
    if draw(st.booleans()):
        return Request(method, request(method, target, headers, body))
    headers.append(b"Transfer-Encoding: chunked")
    return Request(method, request(method, target, headers) + draw(chunkings(body)))


HOSTS = [b"", b"[", b"[::1]", b"a..b", b"a" * 100, b"h:99999", b"h:" + b"1" * 5000, b"xn--a", b"\xff", b"h/x?y#z", b"@"]
LENGTHS = [b"5", b"-1", b"+1", b"1, 1", b"\xb2", b"", b"0x5", b"9" * 20, b"9" * 5000]
BREAKERS = st.binary(min_size=1, max_size=8) | st.sampled_from(
    [
        *(bytes([byte]) for byte in b"\0\n\r \t:\x7f\xff%?"),
        *(b"\r\n", b"\r\n\r\n", b"\r\n ", b"\n\n", b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.9", b"HTTP/2.0"),
        *(b"Host: " + host + b"\r\n" for host in HOSTS),
        *(b"Content-Length: " + length + b"\r\n" for length in LENGTHS),
        *(b"Transfer-Encoding: " + coding + b"\r\n" for coding in (b"chunked", b"gzip, chunked", b"identity", b"a")),
        *(b"Expect: 100-continue\r\n", b"Expect: a\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n"),
        *(b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"zz\r\n", b"f" * 20 + b"\r\n", b"0\r\n\r\n"),
        *(b"a" * 5000, b"A: b\r\n" * 150, b"A: " + b"b" * 9000 + b"\r\n", b"0" * 9000),
    ]
)
INTACT = [
    request(body=b"", headers=[b"Accept: */*"]),
    request(b"POST", b"/score", body=IMAGE),
    request(b"POST", b"/score?a=b", [b"Content-Type: application/json", b"Connection: keep-alive"], IMAGE),
    chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(IMAGE), IMAGE)),
    chunked(b"2;a=b\r\n{}\r\n0\r\nX-Trailer: yes\r\n\r\n", target=b"/nothing"),
    chunked(b"1\r\na\r\n0\r\n\r\n", b"GET", b"/health/live"),
]
FOREIGN = [
    b"GET /\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"\x16\x03\x01\2\0\1\0\1\xfc\3\3" + bytes(200) + b"\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.0\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"\r\n" * 100,
    b"\0" * 20_000,
    b"*1\r\n$4\r\nPING\r\n",
]


@st.composite
def broken_requests(draw: st.DrawFn) -> bytes:
    """Draw an intact request with pieces put in, put in place of others, or cut off; or what is no HTTP at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200) | st.sampled_from(FOREIGN))
    wire = draw(st.sampled_from(INTACT))
    head = wire.index(b"\r\n\r\n") + 4
    # Half of the breaks start a line of the head, where a header makes sense.
    lines = [match.end() for match in re.finditer(b"\r\n", wire[: head - 2])]
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.sampled_from(lines) | st.integers(0, len(wire)))
        end = start + draw(st.sampled_from([0, 0, 0, 1, 2, 20, len(wire)]))
        wire = wire[:start] + draw(BREAKERS) + wire[end:]
    return wire


def test_ten_thousand_strange_requests_are_answered_and_harm_nobody(service):
    processes = service.children("gunicorn")
    restarts = service.metric("scoregate_worker_restarts_total")
    answered = 0

    @settings(FUZZ, max_examples=830)
    @given(st.lists(strange_requests(), min_size=10, max_size=10))
    def strange(sent: list[Request]) -> None:
        """Valid requests, ten at once on a connection: each has its own answer, in turn."""
        nonlocal answered
        named = [
            Request(each.method, each.wire.replace(b"\r\n", b"\r\nx-request-id: no-%d\r\n" % number, 1))
            for number, each in enumerate(sent)
        ]
        came = exchange(
            service, b"".join(each.wire for each in named), [each.method for each in named], expected=len(sent)
        )
        for reply in came:
            check(reply)
        assert [reply.headers["x-request-id"] for reply in came] == [f"no-{number}" for number in range(len(sent))]
        answered += len(came)

    @settings(FUZZ, max_examples=2300)
    @given(broken_requests())
    def broken(sent: bytes) -> None:
        """A request that is not valid HTTP, alone on its connection, which ends without a reset."""
        nonlocal answered
        came = exchange(service, sent)
        for reply in came:
            check(reply)
        answered += len(came)

    @settings(FUZZ, max_examples=200)
    @given(broken_requests() | st.sampled_from(INTACT), st.booleans())
    def dropped(sent: bytes, reset: bool) -> None:
        """A caller that does not wait for the answer, and then one that does."""
        with connect(service) as connection:
            connection.sendall(sent)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reply = service.score(IMAGE)
        assert (reply.status_code, reply.json()["digit"]) == (200, DIGIT)

    with steady_client(service) as seen:
        strange()
        broken()
        dropped()
    assert seen == {(200, str(DIGIT))}
    assert answered >= 10_000
    assert service.children("gunicorn") == processes
    assert service.metric("scoregate_worker_restarts_total") == restarts


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(request(b"POST", b"//score", body=IMAGE), 200, id="slash twice at the start"),
        pytest.param(request(target=b"/health//live"), 404, id="slash twice inside"),
        pytest.param(request(b"POST", b"/score/", body=IMAGE), 404, id="slash at the end"),
        pytest.param(request(b"POST", b"/SCORE", body=IMAGE), 404, id="capitals"),
        pytest.param(request(target=b"/a\0b"), 400, id="NUL in the path"),
        pytest.param(request(target=b"/a%00b"), 404, id="encoded NUL in the path"),
        pytest.param(request(target=b"/\xff"), 400, id="byte that is not ASCII in the path"),
        pytest.param(request(target=b"/%ff"), 404, id="encoded byte that is not UTF-8 in the path"),
        pytest.param(request(target=b"/%zz%"), 404, id="not a percent-encoding"),
        pytest.param(request(b"POST", b"/score?%zz=%ff&&==", body=IMAGE), 200, id="query that is none"),
        pytest.param(request(target=b"/" + b"a" * 9000), 414, id="URI too long"),
        pytest.param(request(target=b"http://h/health/live"), 200, id="absolute form"),
        pytest.param(request(target=b"http://h"), 200, id="absolute form without a path"),
        pytest.param(request(target=b"http://[::1/"), 400, id="absolute form with a broken host"),
        pytest.param(request(target=b"h:80"), 400, id="authority form"),
        pytest.param(request(b"CONNECT", b"h:80"), 404, id="CONNECT"),
        pytest.param(request(b"OPTIONS", b"*"), 404, id="asterisk form"),
        pytest.param(request(b"GET", b"*"), 400, id="asterisk form without OPTIONS"),
        pytest.param(request(b"get"), 400, id="method in small letters"),
        pytest.param(request(b"BREW"), 405, id="unknown method"),
        pytest.param(request(b"DELETE", b"/score"), 405, id="method of another route"),
        pytest.param(request(headers=[b"A: " + b"b" * 9000]), 431, id="header too large"),
        pytest.param(request(headers=[b"A: b"] * 200), 431, id="too many headers"),
        pytest.param(request(headers=[b"A: b\x01"]), 400, id="control character in a header"),
        pytest.param(request(headers=[b"A: b\r\n c"]), 400, id="obsolete folding"),
        pytest.param(request(headers=[b"A : b"]), 400, id="blank before the colon"),
        pytest.param(request(headers=[b"no colon"]), 400, id="header without a colon"),
        pytest.param(request(headers=[b"Host: again"]), 400, id="Host twice"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400, id="Host that cannot be"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 200, id="Host that is not ASCII"),
        pytest.param(b"GET /health/live HTTP/1.1\nHost: h\n\n", 400, id="bare LF"),
        pytest.param(b"GET /health/live HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400, id="bare LF after a header"),
        pytest.param(b"GET /health/live\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(request(headers=[b"SCRIPT_NAME: /x"]), 200, id="SCRIPT_NAME as a header"),
        pytest.param(request(target=b"/x/score", headers=[b"SCRIPT_NAME: /x"]), 404, id="SCRIPT_NAME that fits"),
        pytest.param(request(headers=[b"Expect: nonsense"]), 417, id="unknown expectation"),
        pytest.param(request(b"POST", b"/score", [b"Expect: 100-continue"], IMAGE), 200, id="100-continue"),
        pytest.param(request(headers=[b"Connection: upgrade", b"Upgrade: websocket"]), 400, id="websocket"),
        pytest.param(request(headers=[b"Connection: upgrade", b"Upgrade: h2c"]), 200, id="h2c"),
        pytest.param(request(b"POST", b"/score", [b"Content-Length: -1"]), 400, id="negative length"),
        pytest.param(request(b"POST", b"/score", [b"Content-Length: \xb2"]), 400, id="length in superscript"),
        pytest.param(request(b"POST", b"/score", [b"Content-Length: " + b"1" * 5000]), 400, id="5000 digits"),
        pytest.param(request(b"POST", b"/score", [b"Content-Length: " + b"1" * 30]), 413, id="30 digits"),
        pytest.param(request(b"POST", b"/score", [b"Content-Length: 3"], b"ab"), 400, id="two lengths"),
        pytest.param(request(b"POST", b"/score", [b"Transfer-Encoding: chunked"], b""), 400, id="length and chunked"),
        pytest.param(request(b"POST", b"/score", [b"Transfer-Encoding: gzip"]), 400, id="not chunked at last"),
        pytest.param(request(b"POST", b"/score", [b"Transfer-Encoding: brotli"]), 501, id="unknown transfer coding"),
        pytest.param(chunked(b"zz\r\n"), 400, id="chunk size that is none"),
        pytest.param(chunked(b"0" * 9000), 400, id="chunk size without an end"),
        pytest.param(chunked(b"2\r\nabc\r\n0\r\n\r\n"), 400, id="chunk longer than its size"),
        pytest.param(chunked(b"2;=\r\nab\r\n0\r\n\r\n"), 400, id="chunk extension that is none"),
        pytest.param(chunked(b"2\r\nab\r\n0\r\nHost: h\r\n\r\n"), 400, id="trailer that is not allowed"),
        pytest.param(chunked(b"2\r\nab\r\n0\r\nA: b\n\n"), 400, id="bare LF in a trailer"),
    ],
)
def test_a_strange_request_has_this_status_and_the_next_caller_is_served(service, sent, status):
    (reply,) = exchange(service, sent, expected=1)
    check(reply)
    assert reply.status == status
    assert service.score(IMAGE).json()["digit"] == DIGIT


def test_a_body_that_nobody_read_and_that_is_not_valid_has_no_second_answer(service):
    (reply,) = exchange(service, chunked(b"zz\r\n", b"GET", b"/health/live"))
    assert reply.status == 200


@pytest.fixture(scope="module")
def echoing(start_module) -> Service:
    """A service that answers with the body it got, of LIMIT bytes at most."""
    return start_module(APP_ROOT=SCENARIOS / "fuzz", TRITON="off", MAX_BODY_BYTES=LIMIT).wait_ready()


def in_chunks(body: bytes) -> Iterator[bytes]:
    """Give requests a body whose length it cannot know."""
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("framing", [pytest.param(bytes, id="length"), pytest.param(in_chunks, id="chunked")])
@pytest.mark.parametrize("size", [LIMIT + 1, 100_000, 20_000_000])
def test_a_body_over_the_limit_is_413_which_the_caller_can_read(echoing, size, framing, connection):
    reply = requests.post(
        echoing.url + "/score", data=framing(b"a" * size), headers={"Connection": connection}, timeout=HANG_S
    )
    assert (reply.status_code, reply.json()["code"]) == (413, "request_entity_too_large")
    assert echoing.score("next").json() == "next"


@pytest.mark.parametrize("framing", [pytest.param(bytes, id="length"), pytest.param(in_chunks, id="chunked")])
def test_a_packed_body_may_become_as_large_as_the_limit_and_no_larger(echoing, framing):
    def packed(body: bytes) -> requests.Response:
        headers = {"Content-Encoding": "gzip"}
        sent = framing(gzip.compress(body))
        return requests.post(echoing.url + "/score", data=sent, headers=headers, timeout=HANG_S)

    assert packed(b"a" * LIMIT).json() == "a" * LIMIT
    for size in (LIMIT + 1, 500 * LIMIT):
        reply = packed(b"a" * size)
        assert (reply.status_code, reply.json()["code"]) == (413, "request_entity_too_large")


@pytest.mark.parametrize("framing", [pytest.param(bytes, id="length"), pytest.param(in_chunks, id="chunked")])
def test_a_body_of_just_the_limit_is_taken_whole(echoing, framing):
    reply = requests.post(echoing.url + "/score", data=framing(b"a" * LIMIT), timeout=HANG_S)
    assert (reply.status_code, reply.json()) == (200, "a" * LIMIT)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(request(b"POST", b"/score", [b"Content-Length: 100"]) + b"1,2,3", id="length"),
        pytest.param(chunked(b"64\r\n1,2,3"), id="inside a chunk"),
        pytest.param(chunked(b"5\r\n1,2,3\r\n"), id="before the last chunk"),
        pytest.param(chunked(b"5\r\n1,2,3\r\n0\r\n"), id="before the end of the trailer"),
    ],
)
def test_a_body_that_breaks_off_is_not_scored(echoing, sent):
    (reply,) = exchange(echoing, sent)
    check(reply)
    assert reply.status == 400


@pytest.mark.parametrize("path", [b"/score", b"/nothing"])
@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        pytest.param(b"Content-Length: 1" + b"0" * 15, b"a" * 65536, id="length"),
        pytest.param(b"Transfer-Encoding: chunked", b"10000\r\n" + b"a" * 65536 + b"\r\n", id="chunked"),
    ],
)
def test_who_sends_without_end_is_hung_up_on_and_holds_nobody_up(echoing, path, framing, piece):
    def hung_up_on() -> bool:
        with connect(echoing) as connection:
            connection.sendall(request(b"POST", path, [framing]))
            end = time.monotonic() + FLOOD_S
            while time.monotonic() < end:
                try:
                    connection.sendall(piece)
                except ConnectionError:
                    return True
        return False

    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(hung_up_on)
        assert probes_answered_before(flood, echoing) >= 3
        assert flood.result()


def test_a_body_of_a_million_chunks_holds_nobody_up(service):
    with ThreadPoolExecutor(1) as pool:
        scored = pool.submit(exchange, service, chunked(b"1\r\n0\r\n" * 1_000_000 + b"0\r\n\r\n"), within_s=60)
        assert probes_answered_before(scored, service) >= 3
        (reply,) = scored.result()
    check(reply)
    assert reply.status == 500


def probes_answered_before(end: Future, service: Service) -> int:
    """Probe again and again; a worker that is held up answers once or not at all before what holds it up is over."""
    answered = 0
    while not end.done():
        assert requests.get(service.url + "/health/live", timeout=HANG_S).status_code == 200
        answered += 1
    return answered
