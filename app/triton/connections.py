"""Keep-alive HTTP/1.1 connections to this service's Triton, with no more than the hot path needs."""

import contextlib
import socket
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

import gevent
import orjson
from gevent.monkey import get_original
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..eventloop import forks
from ..eventloop.deadline import current, shielded
from . import patience, suspects
from .failures import says_dead
from .send_batch import SendBatch

READ, WRITE = 1, 2  # libev's
RECEIVE_BYTES = 65536
# Up to this size, head and body are joined and sent in one call; beyond it the copy costs more than the second call.
JOIN_BYTES = 65536
LATE_S = 0.1  # beyond a scoring request's deadline, which so comes first where it can

_Socket = get_original("socket", "socket")
_ThreadLocal = get_original("threading", "local")


class Response:
    """Triton's answer, with what tritonclient reads of one: status_code, get() for headers, read() for the body."""

    __slots__ = ("_at", "_headers", "body", "status_code")

    def __init__(self, status_code: int, headers: dict[str, str], body: memoryview) -> None:
        self.status_code = status_code
        self.body = body
        self._headers = headers
        self._at = 0

    def get(self, name: str) -> str | None:
        """Look a header up, whatever its case."""
        return self._headers.get(name.lower())

    def read(self, length: int = -1) -> bytes:
        """Read the next bytes of the body, or its rest."""
        start = self._at
        self._at = len(self.body) if length < 0 else start + length
        return bytes(self.body[start : self._at])


def succeeded(response: Response) -> Response:
    """Return the answer; raise what tritonclient makes of one that is a failure, InferenceServerException."""
    if response.status_code == 200:
        return response
    raise InferenceServerException(_fault(response), str(response.status_code))


def _fault(response: Response) -> str:
    """Read what Triton says of a failure."""
    text = bytes(response.body).decode(errors="replace")
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
        text = str(orjson.loads(text)["error"])
    return text


def _model(head: bytes) -> str:
    """Tell which model a request is for, by its URI; none for one that is not a model's own."""
    parts = head[: head.find(b" HTTP/1.1")].split(b"/")
    return unquote(parts[3]) if parts[1:3] == [b"v2", b"models"] else ""


class _Idle(_ThreadLocal):  # type: ignore[misc,valid-type]
    """The connections without a call, of each thread: gevent's event loops are a thread's own."""

    def __init__(self) -> None:
        self.connections: list[_TritonConnection] = []


_batch = SendBatch()
_idle: defaultdict[str, _Idle] = defaultdict(_Idle)  # of each url, whoever asks there, with whatever timeouts


def _let_go() -> None:
    """Forget, in a forked process, what is the worker's: both would take the answers from one connection."""
    global _batch
    _batch = SendBatch()
    for each in _idle.values():
        each.connections = []


forks.in_child(_let_go)


class _TritonConnection:
    """One socket, and how to wait for it."""

    def __init__(self, address: tuple[str, int], connect_timeout: float) -> None:
        opened = gevent.socket.create_connection(address, connect_timeout)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The plain socket: gevent's own tries before it waits, and an answer is never there at the first try.
        self._socket = _Socket(fileno=opened.detach())
        self._socket.setblocking(False)
        loop = gevent.get_hub().loop
        self._readable = loop.io(self._socket.fileno(), READ)
        self._writable = loop.io(self._socket.fileno(), WRITE)
        self._failure: OSError | None = None  # of the send, if it was not the caller's own greenlet that sent
        self.timeout = 0.0  # in s, of the call under way

    def close(self) -> None:
        self._readable.close()
        self._writable.close()
        self._socket.close()

    def _wait(self, watcher: Any) -> None:  # noqa: ANN401 - gevent's are Cython's
        hub = gevent.get_hub()
        timer = hub.loop.timer(self.timeout)  # what gevent.socket.wait() does, in half the time
        timer.start(gevent.getcurrent().throw, TimeoutError("timed out"))
        try:
            hub.wait(watcher)
        finally:
            timer.close()

    def is_alive(self) -> bool:
        """Tell whether Triton has hung up since the last call."""
        with contextlib.suppress(OSError):
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return True
        return False

    def send(self, data: bytes | memoryview) -> None:
        try:
            rest = memoryview(data)[self._socket.send(data) :]
        except BlockingIOError:
            rest = memoryview(data)
        while rest:
            self._wait(self._writable)
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._socket.send(rest) :]

    def send_now(self, data: bytes) -> None:
        """Send without waiting, for a greenlet that waits for the answer; what fails is raised there."""
        try:
            sent = self._socket.send(data)
        except OSError as error:
            self._failure = error
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)  # it waits no longer
            return
        if sent < len(data):  # hardly ever: what is sent so is small, and the connection was idle
            gevent.spawn(self.send, memoryview(data)[sent:])

    def receive(self) -> Response:
        data = self._more()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers["content-length"])
        body = memoryview(data)[end + 4 :]
        if len(body) < length:
            body = self._rest(body, length)
        return Response(int(first.split(" ", 2)[1]), headers, body)

    def _rest(self, begun: memoryview, length: int) -> memoryview:
        body = memoryview(bytearray(length))
        at = len(begun)
        body[:at] = begun
        while at < length:
            try:
                received = self._socket.recv_into(body[at:])
            except BlockingIOError:
                self._wait(self._readable)
                continue
            if not received:
                raise ConnectionError("Triton closed the connection in the middle of its answer")
            at += received
        return body

    def _more(self) -> bytes:
        while True:
            self._wait(self._readable)
            if self._failure:
                raise self._failure
            with contextlib.suppress(BlockingIOError):
                if data := self._socket.recv(RECEIVE_BYTES):
                    return bytes(data)
                raise ConnectionError("Triton closed the connection")


class Connections:
    """As many connections as there are calls at the same time; a call takes an idle one or opens another.

    Takes the place of the geventhttpclient in tritonclient's client, whose get() and post() it has. Any thread may use
    it. All of one url share their idle connections: a script may make a client in run(), for each request.
    Relies on how Triton's HTTP server answers: always with a Content-Length.
    Calls raise TimeoutError when Triton neither takes nor sends anything for the timeout (in s), ConnectionError when
    it is not there or hangs up. A request is sent once more if Triton had closed an idle connection before it came.
    """

    def __init__(self, url: str, connect_timeout: float = 60.0, timeout: float = 60.0) -> None:
        """url: host:port. The timeouts are in s."""
        host, _, port = url.partition(":")
        self._address = (host, int(port))
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._host = f"Host: {url}\r\n"
        self._idle = _idle[url]

    def get(self, request_uri: str, headers: Mapping[str, Any] | None = None) -> Response:
        """GET request_uri, which begins with a slash."""
        return self.call(self.head("GET", request_uri, headers or {}))

    def post(self, request_uri: str, body: str | bytes, headers: Mapping[str, Any] | None = None) -> Response:
        """POST body to request_uri, which begins with a slash."""
        data = body.encode() if isinstance(body, str) else body
        return self.call(self.head("POST", request_uri, {**(headers or {}), "Content-Length": len(data)}), data)

    def call(self, head: bytes, *body: bytes | memoryview) -> Response:
        """Send a request and wait for its answer. head: what head() made, or that and the beginning of the body.

        The timeout is that of the scoring request, where this is part of one and less is left of its time.
        """
        if self._timeout > patience.LONG_S and (model := _model(head)):
            with shielded(), patience.waiting(model, self._timeout):
                response = self._in_time(head, *body)
        else:
            response = self._in_time(head, *body)
        if response.status_code == 500 and says_dead("500", _fault(response)):
            suspects.tell(_model(head))
        return response

    def _in_time(self, head: bytes, *body: bytes | memoryview) -> Response:
        deadline = current.get()
        if deadline is None:
            return self._call(self._timeout, head, *body)
        with shielded():
            deadline.doing = "waiting for Triton"
            try:
                response = self._call(min(self._timeout, max(deadline.left_s(), 0) + LATE_S), head, *body)
            except Exception:  # not the deadline's own, which wants to know what took the time
                deadline.doing = "in run()"
                raise
            deadline.doing = "in run()"
        return response

    def _call(self, timeout: float, head: bytes, *body: bytes | memoryview) -> Response:
        connection = self._idle_one()
        if connection:
            try:
                return self._send_and_receive(connection, timeout, head, *body)
            except (ConnectionResetError, BrokenPipeError):
                # A reset means that Triton has not read the request: it closed the connection, idle for it, when the
                # request was on its way. Had it died while it worked on the request, that would be an end of data.
                pass
        return self._send_and_receive(_TritonConnection(self._address, self._connect_timeout), timeout, head, *body)

    def _send_and_receive(
        self, connection: _TritonConnection, timeout: float, head: bytes, *body: bytes | memoryview
    ) -> Response:
        connection.timeout = timeout
        alone = _batch.begin()
        try:
            if sum(map(len, body)) > JOIN_BYTES:
                for part in (head, *body):
                    connection.send(part)
            elif alone:
                connection.send(b"".join((head, *body)))
                _batch.stay_awake()
            else:
                _batch.send_together(partial(connection.send_now, b"".join((head, *body))))
            response = connection.receive()
        except BaseException:  # whatever it is, an answer may still come that belongs to no later request
            connection.close()
            raise
        finally:
            _batch.end()
        self._idle.connections.append(connection)
        return response

    def head(self, method: str, uri: str, headers: Mapping[str, Any]) -> bytes:
        """Write request line and headers. Raises ValueError for a header with a line break in it."""
        lines = [f"{method} {uri} HTTP/1.1\r\n{self._host}"]
        for name, value in headers.items():
            line = f"{name}: {value}"
            if "\n" in line or "\r" in line:
                raise ValueError(f"The header {name!r} holds a line break.")
            lines.append(f"{line}\r\n")
        return "".join((*lines, "\r\n")).encode("latin-1")

    def inference_head(self, uri: str, header: Mapping[str, Any], tensor_bytes: int) -> bytes:
        """Write what comes before the tensors of an inference, the HTTP head and the JSON header.

        Source: Triton's binary tensor data extension.
        """
        text = orjson.dumps(header, list)  # a shape may be a torch.Size, which orjson takes for no tuple
        lengths = {"Content-Length": len(text) + tensor_bytes, "Inference-Header-Content-Length": len(text)}
        return self.head("POST", uri, lengths) + text

    def close(self) -> None:
        """Close nothing: a client that is closed leaves the idle connections to the others."""

    def _idle_one(self) -> _TritonConnection | None:
        idle = self._idle.connections
        while idle:
            connection: _TritonConnection = idle.pop()  # the last one used: those beyond what is needed stay idle
            if connection.is_alive():
                return connection
            connection.close()
        return None


class FreshConnections(Connections):
    """A connection for each call. While Triton loads a model, it does not answer on most of those that it had before.

    A load keeps a thread of Triton's HTTP server, and with it the connections of that thread.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, 60.0, 60.0)
        self._idle = _Idle()

    def _idle_one(self) -> None:
        while self._idle.connections:
            self._idle.connections.pop().close()
