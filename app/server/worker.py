"""Gunicorn's gevent worker, answering in this service's way where no route is reached."""

import ipaddress
import math
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from signal import ITIMER_REAL, SIG_DFL, SIGALRM, SIGKILL, setitimer
from signal import signal as set_handler  # by name: scripts may put another in its place
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event
from gevent.monkey import get_original
from gevent.pool import Pool
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidHeader, NoMoreData, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.sock import ssl_context
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.http import HTTP_STATUS_CODES

from ..eventloop import forks
from ..eventloop.deadline import Deadlines
from ..eventloop.spin import SpinWait
from ..health.lifecycle import Lifecycle, State
from ..health.orphans import die_with
from ..health.readiness import Readiness
from ..telemetry import log
from ..telemetry.metrics import Metrics
from ..web import error_responses, request_ids
from ..web.envelope import KEY
from . import plain_http
from .connection_share import Count, Server
from .departures import Departures
from .expect_continue import invite_when_read
from .reply import CLIENT_GONE, PLAIN, Reply
from .sockets import close, refuse
from .untaken import STALL_S, CallerLeft, Untaken

UNREAD_BYTES = 65536  # of a body that its route did not read; for more, the connection is not worth keeping
# An idle keep-alive connection costs a greenlet and a place among worker_connections. Load balancers keep connections
# for about a minute and must not find them closed first.
KEEPALIVE_S = 75.0
CONNECTING_S = 0.3  # for those who are about to, when the service is stopping: a round trip
STOPPING_WAIT_S = 2.0  # for the request of a caller who has just connected, when the worker is stopping
STOPPING_POLL_S = 0.1
BODY_S = 5.0  # for the rest of a body, when the service is stopping
END_S = 8.0  # after the last request was answered or too late, when the worker is stopping: then it hangs up
HANDSHAKE_S = 10.0  # for a caller to agree on encryption
SIBLINGS_S = 0.1  # between two looks whether this worker is to accept connections
RECEIVE_BYTES = 65536
PAUSE_S = 0.0003  # between an answer and the next request, as of a caller on the same machine
READ = 1  # libev's
MAPPED = "::ffff:"  # what an IPv4 address begins with when the listener is one of IPv6

_Socket = get_original("socket", "socket")


class _Listener:
    """What is asked of a listener after it was closed, as it is before the connections that it has accepted."""

    def __init__(self, name: Any) -> None:  # noqa: ANN401 - an address, of whatever family
        self._name = name

    def getsockname(self) -> Any:  # noqa: ANN401
        """Tell the address, as a socket does."""
        return self._name


class HostMissing(InvalidHeader):
    """A request of HTTP/1.1 does not say for which host it is. Source: RFC 9112, section 3.2."""

    def __str__(self) -> str:
        return "A request of HTTP/1.1 must have a Host header. Send one."


class _CallerConnection:
    """A caller's connection.

    waits_since: when the wait for a request began, None while one is served. unread: what came that was no plain
    request, and is Gunicorn's to read. is_gone: whether the caller has closed it, or its half of it. is_let_go: whether
    this worker has closed its own half, and reads no more than what has come.
    """

    __slots__ = ("client", "is_gone", "is_let_go", "unread", "waits_since")

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.waits_since: float | None = None
        self.unread = b""
        self.is_gone = False
        self.is_let_go = False


class Worker(GeventWorker):
    """A worker process: one entry script, one event loop."""

    lifecycle: Lifecycle
    readiness: Readiness
    deadlines: Deadlines
    metrics: Metrics
    untaken: Untaken
    count: Count
    _keeps_connections: bool
    _closed_at: float  # when the whole service began to stop
    _stop: Event

    def run(self) -> None:
        """Accept connections and serve them until told to stop, then finish those that there are."""
        self._tls = ssl_context(self.cfg) if self.cfg.is_ssl else None  # only now is Python's ssl gevent's
        servers, pools = [], []
        for listener in self.sockets:
            listener.setblocking(True)
            pools.append(Pool(self.worker_connections))
            named = _Listener(listener.getsockname())
            servers.append(Server(self.count, listener, partial(self.handle, named), spawn=pools[-1]))
        # While no worker can score, each one answers probes; later a new one leaves all connections to those that can.
        while self.alive and not self.readiness.initialised and self.lifecycle.ready_workers():
            self.notify()
            self._stop.wait(SIBLINGS_S)
        Departures(self.deadlines, self._connections).start()
        self.count.begin()
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            self._stop.wait(1.0)
        if self.lifecycle.state is State.STOPPING:  # else other workers go on with the same listeners
            for listener in self.sockets:
                refuse(listener)
            gevent.sleep(CONNECTING_S)
        self.count.end()
        for server in servers:
            server.stop_accepting()
            while accepted := server.do_read():  # connections that wait to be accepted would be reset by close()
                server.do_handle(*accepted)
            server.close()
        self._finish(pools)

    def _finish(self, pools: list[Pool]) -> None:
        """Wait for the requests that there are; hang up END_S after the last of them was answered or too late.

        A script's threads have that time, too, and then a second.
        """
        now = monotonic()
        end = now + END_S
        latest = now + self.cfg.graceful_timeout - END_S
        while any(map(len, pools)) and now < end:
            self.notify()
            if self._is_asked(now, latest):
                end = now + END_S
            gevent.sleep(STOPPING_POLL_S)
            now = monotonic()
        set_handler(SIGALRM, SIG_DFL)
        setitimer(ITIMER_REAL, max(end - now, 0) + 1)

    def _is_asked(self, now: float, latest: float) -> bool:
        """Tell whether a caller waits for an answer that is not too late yet. latest: for one that is being sent."""
        deadlines = {each.greenlet: each for each in self.deadlines.under_way()}
        return any(
            now < (deadlines[greenlet].ends if greenlet in deadlines else latest)
            for greenlet, connection in self._connections.items()
            if connection.waits_since is None
        )

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ANN401
        """Stop (SIGTERM), at once rather than within a second."""
        super().handle_exit(sig, frame)
        self._stop.set()

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # the stub forgot what it returns
        """Bound the wait for a connection's next request; Gunicorn enters this before it reads one."""
        connection = self._connections[gevent.getcurrent()]
        connection.waits_since = monotonic()
        try:
            yield
        finally:
            connection.waits_since = None

    def notify(self) -> None:
        """Show a sign of life, once a second; let go of the connections on which nothing came for too long.

        When the worker is stopping, that is soon: Gunicorn itself would wait for idle keep-alive connections as long
        as for requests, for graceful_timeout. While the service drains, callers are sent elsewhere, answer by answer.
        """
        super().notify()
        self.metrics.put_back()
        if self._keeps_connections and self.lifecycle.is_ending:
            self._keeps_connections = False
        now = monotonic()
        if self._closed_at == math.inf and self.lifecycle.state is State.STOPPING:
            self._closed_at = now
        earliest = now - (KEEPALIVE_S if self.alive else STOPPING_WAIT_S)
        late_bodies: set[object] = set()
        if now > self._closed_at + BODY_S:
            late_bodies = {each.greenlet for each in self.deadlines.under_way() if each.doing == "receiving the body"}
        for greenlet, connection in self._connections.items():
            waits = connection.waits_since
            if greenlet in late_bodies if waits is None else waits < earliest:
                # Whoever waits reads to the end now, but first what has come in the meantime. The system's
                # own shutdown: gevent's breaks the wait off, and that of an encrypted socket forgets its keys.
                connection.is_let_go = True
                with suppress(OSError), _Socket(fileno=os.dup(connection.client.fileno())) as same:
                    same.shutdown(socket.SHUT_RD)

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:  # noqa: ANN401
        """Serve a connection."""
        if isinstance(addr, tuple) and addr[0].startswith(MAPPED):
            addr = (addr[0].removeprefix(MAPPED), *addr[1:])
        if self._tls:
            try:
                with gevent.Timeout(HANDSHAKE_S, TimeoutError):
                    client = self._tls.wrap_socket(client, server_side=True)
            except OSError:  # this one speaks no TLS, or does not trust us; ssl.SSLError is one of them
                client.close()
                return
        greenlet = gevent.getcurrent()
        self._connections[greenlet] = connection = _CallerConnection(client)
        try:
            self._handle(listener, connection, addr)
        finally:
            del self._connections[greenlet]

    def _handle(self, listener: Any, connection: _CallerConnection, addr: Any) -> None:  # noqa: ANN401
        """Serve the plain requests, then leave what else comes to Gunicorn."""
        client = connection.client
        # That an encrypted socket can be read does not mean that its data can; a Unix socket's caller has no address.
        if isinstance(addr, tuple) and not isinstance(client, ssl.SSLSocket):
            try:
                unread = self._serve_plain(listener.getsockname(), connection, addr)
            except (NoMoreData, OSError, gevent.GreenletExit):  # the other end has hung up, or this one is to
                unread = b""
            except BaseException as error:  # as Gunicorn's handle() does
                self.handle_error(None, client, addr, error)
                unread = b""
            if not unread:
                close(client)
                return
            connection.unread = unread
        AsyncWorker.handle(self, listener, client, addr)

    def _serve_plain(self, name: Any, connection: _CallerConnection, addr: Any) -> bytes:  # noqa: ANN401
        """Return what is not a plain request, or nothing when the connection is to be closed."""
        client = connection.client
        client.settimeout(STALL_S)
        base, not_plain = self._of_connection(name, addr)
        readable = gevent.get_hub().loop.io(client.fileno(), READ)
        data = b""
        try:
            while True:
                if not data:
                    # Wait before receiving, since the next request is hardly ever there already; and a connection that
                    # always had one would let no other greenlet run.
                    connection.waits_since = monotonic()
                    gevent.socket.wait(readable)
                    data = client.recv(RECEIVE_BYTES)
                    connection.waits_since = None
                request = data and plain_http.parse(data, client, base, not_plain)
                if not request:
                    return data
                self._pause.end()
                self._under_way += 1
                try:
                    if not self._answer_plain(request, connection):
                        return b""
                finally:
                    self._under_way -= 1
                    self._pause.begin()
                if data := request.following:
                    gevent.sleep()  # who sends many requests at once does not hold up the others
        finally:
            readable.close()

    def _answer_plain(self, request: plain_http.PlainRequest, connection: _CallerConnection) -> bool:
        """Answer a plain request; tell whether the connection can go on."""
        if not self._answer(request.environ, PLAIN, connection, request.body):
            return False
        if request.body and request.body.left:
            with self.timeout_ctx():
                request.environ["wsgi.input"].read()
        return True

    def _answer(
        self,
        environ: dict[str, Any],
        request: Any,  # noqa: ANN401 - PLAIN, or Gunicorn's
        connection: _CallerConnection,
        body: plain_http.Incoming | None = None,
    ) -> bool:
        """Answer a request, whoever read it, and count what became of it; tell whether the connection can go on."""
        reply = Reply(request)
        try:
            chunks = self.wsgi(environ, reply.start)
            self.nr += 1
            if self.nr >= self.max_requests:
                self.alive = False
            keep_alive = self.alive and self._keeps_connections and not reply.status.startswith("408")
            if body:
                connection.is_gone |= body.has_ended
                keep_alive &= body.left <= UNREAD_BYTES
            return reply.send(connection.client, chunks, self.cfg, self.untaken, keep_alive)
        finally:
            if envelope := environ.get(KEY):
                envelope.count(CLIENT_GONE if connection.is_gone else reply.outcome)

    def _of_connection(self, name: Any, addr: Any) -> tuple[dict[str, Any], frozenset[str]]:  # noqa: ANN401
        """Make the environ that all requests of a connection have, and name the headers that make one Gunicorn's."""
        host, port = name[:2]
        base = {
            **wsgi.base_environ(self.cfg),
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/score",
            "RAW_URI": "/score",
            "QUERY_STRING": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": addr[0],
            "REMOTE_PORT": str(addr[1]),
        }
        caller = ipaddress.ip_address(addr[0])
        cfg = self.cfg
        if "*" in cfg.forwarded_allow_ips or any(caller in each for each in cfg.forwarded_allow_networks()):
            return base, plain_http.SPECIAL | {f"HTTP_{each.replace('-', '_')}" for each in cfg.secure_scheme_headers}
        return base, plain_http.SPECIAL

    def init_process(self) -> None:
        """Run the worker."""
        die_with(self.ppid, SIGKILL)
        self._connections: dict[Any, _CallerConnection] = {}
        self._keeps_connections = True
        self._closed_at = math.inf
        self._under_way = 0  # plain requests
        self._pause = SpinWait(PAUSE_S, lambda: not self._under_way)
        self._stop = Event()
        util.write_error = write_error
        util.close = close
        receive = SocketUnreader.chunk
        SocketUnreader.chunk = lambda unreader, *args: (  # type: ignore[method-assign]
            self.before_receiving(unreader.sock) or self._received(receive(unreader, *args))
        )
        # A greenlet of the script's that ends with KeyboardInterrupt or SystemError would end the worker.
        gevent.get_hub().SYSTEM_ERROR = (SystemExit,)
        forks.begin()
        forks.in_child(self._let_go)
        super().init_process()

    def _let_go(self) -> None:
        """Let go, in a forked process, of the sockets: a port closes, and a caller sees the end, once all have."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for each in [*self.sockets, *(connection.client for connection in self._connections.values())]:
            if (number := each.fileno()) >= 0:
                os.dup2(nothing, number, inheritable=False)
        os.close(nothing)

    def handle_request(self, listener_name: Any, req: Any, sock: socket.socket, addr: Any) -> bool:  # noqa: ANN401
        """Serve a request, then hang up on a caller who goes on with a body that nobody reads.

        Gunicorn would read it to its end before the next request, in a loop that lets no other greenlet run while data
        keeps coming: one caller who sent for 12 s held up all others, and the probes, for 12 s.
        """
        if req.version >= (1, 1) and not any(name == "HOST" for name, _ in req.headers):
            raise HostMissing("HOST")
        invite_when_read(req, sock)
        environ = dict(wsgi.create(req, sock, addr, listener_name, self.cfg)[1])
        environ["wsgi.multithread"] = True
        sock.settimeout(STALL_S)
        try:
            if not self._answer(environ, req, self._connections[gevent.getcurrent()]):
                raise StopIteration
        except CallerLeft as left:
            raise StopIteration from left
        # Suppressed: the request has been answered, once is enough.
        with suppress(ParseException, TimeoutError), self.timeout_ctx():
            req.body.read(UNREAD_BYTES)
            if not req.body.read(1):
                return True
        raise StopIteration

    def before_receiving(self, sock: socket.socket) -> bytes:
        """Give Gunicorn what was no plain request; if there is nothing, let it receive.

        From the socket once the other greenlets have had their turn. gevent's recv() gives them none while data keeps
        coming: a body of a million chunks held up the probes for 3.5 s. A body that stalls is a TimeoutError.
        """
        connection = self._connections.get(gevent.getcurrent())
        if connection and connection.unread:
            unread, connection.unread = connection.unread, b""
            return unread
        gevent.sleep()
        waits_for_request = connection and connection.waits_since is not None
        sock.settimeout(None if waits_for_request else STALL_S)
        return b""

    def _received(self, data: bytes) -> bytes:
        """Notice the end of what Gunicorn receives."""
        if not data and (connection := self._connections.get(gevent.getcurrent())):
            connection.is_gone = True
        return data

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ANN401
        """Answer what is not valid HTTP; Gunicorn finds the status."""
        log.request_id.set(request_ids.new())
        super().handle_error(req, client, addr, exc)


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answer with JSON in place of gunicorn.util.write_error's HTML, then let Gunicorn hang up."""
    request_id = log.request_id.get()
    reason = HTTP_STATUS_CODES[status_int]  # Gunicorn's own says "Bad Request" for 501, too
    text = mesg or "An unexpected internal error occurred. Check the logs for more info."
    body = error_responses.body(text, error_responses.code_of(status_int), request_id).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nx-request-id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode() + body)
