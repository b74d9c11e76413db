"""Gunicorn's gevent worker, answering in this service's way where no route is reached."""

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import gevent
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.http import HTTP_STATUS_CODES

from . import errors, log, plain_http, request_ids

UNREAD_BYTES = 65536  # of a body that its route did not read; for more, the connection is not worth keeping
LINGER_S = 2.0
STOPPING_WAIT_S = 1.0  # for the request of a caller who has just connected, when the worker is stopping
RECEIVE_BYTES = 65536
READ = 1  # libev's
_receive = SocketUnreader.chunk
_unread: dict[socket.socket, bytes] = {}  # what a connection sent that was no plain request


class Worker(GeventWorker):
    """A worker process: one entry script, one event loop."""

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # the stub forgot what it returns
        """Bound the wait for a connection's next request; Gunicorn enters this before it reads one."""
        connection = cast("gevent.Greenlet[..., None]", gevent.getcurrent())
        self._waiting[connection] = monotonic()
        try:
            yield
        finally:
            del self._waiting[connection]

    def notify(self) -> None:
        """Show a sign of life, once a second; hang up where nothing came for too long.

        When the worker is stopping, that is soon, where no request is under way: Gunicorn itself would wait for idle
        keep-alive connections as long as for requests, for graceful_timeout.
        """
        super().notify()
        latest = monotonic() - (self.cfg.keepalive if self.alive else STOPPING_WAIT_S)
        for connection, since in self._waiting.items():
            if since < latest:
                connection.kill(NoMoreData(), block=False)

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:  # noqa: ANN401
        """Serve a connection's plain requests, then leave what else comes on it to Gunicorn."""
        name = listener.getsockname()  # now, for when the worker stops the listener is closed before its connections
        # That an encrypted socket can be read does not mean that its data can; a Unix socket's caller has no address.
        if isinstance(addr, tuple) and not isinstance(client, ssl.SSLSocket):
            try:
                unread = self._serve_plain(name, client, addr)
            except (NoMoreData, OSError):  # this end hangs up, or the other one has
                unread = b""
            except Exception as error:  # as Gunicorn's handle() does
                self.handle_error(None, client, addr, error)
                unread = b""
            if not unread:
                close(client)
                return
            _unread[client] = unread
        super().handle(SimpleNamespace(getsockname=lambda: name), client, addr)  # type: ignore[arg-type]

    def _serve_plain(self, name: Any, client: socket.socket, addr: Any) -> bytes:  # noqa: ANN401
        """Return what is not a plain request, or nothing when the connection is to be closed."""
        base, not_plain = self._of_connection(name, addr)
        readable = gevent.get_hub().loop.io(client.fileno(), READ)
        connection = cast("gevent.Greenlet[..., None]", gevent.getcurrent())
        data = b""
        try:
            while True:
                if not data:
                    # Wait before receiving, since the next request is hardly ever there already; and a connection that
                    # always had one would let no other greenlet run.
                    self._waiting[connection] = monotonic()
                    try:
                        gevent.socket.wait(readable)
                        data = client.recv(RECEIVE_BYTES)
                    finally:
                        del self._waiting[connection]
                request = data and plain_http.parse(data, client, base, not_plain)
                if not request:
                    return data
                if not self._answer_plain(request, client):
                    return b""
                if data := request.following:
                    gevent.sleep()  # who sends many requests at once does not hold up the others
        finally:
            readable.close()

    def _answer_plain(self, request: plain_http.PlainRequest, client: socket.socket) -> bool:
        """Answer a request; tell whether the connection can go on."""
        reply = plain_http.Reply()
        chunks = self.wsgi(request.environ, reply.start)
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        unread = request.body.left if request.body else 0
        keep_alive = self.alive and bool(self.cfg.keepalive) and unread <= UNREAD_BYTES
        keep_alive = reply.send(client, chunks, self.cfg, keep_alive)
        if unread and keep_alive:
            with self.timeout_ctx():
                request.environ["wsgi.input"].read()
        return keep_alive

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
        self._waiting: dict[gevent.Greenlet[..., None], float] = {}
        util.write_error = write_error
        util.close = close
        SocketUnreader.chunk = receive  # type: ignore[assignment]
        super().init_process()

    def handle_request(self, listener_name: Any, req: Any, sock: socket.socket, addr: Any) -> bool:  # noqa: ANN401
        """Serve a request, then hang up on a caller who goes on with a body that nobody reads.

        Gunicorn would read it to its end before the next request, in a loop that lets no other greenlet run while data
        keeps coming: one caller who sent for 12 s held up all others, and the probes, for 12 s.
        """
        super().handle_request(listener_name, req, sock, addr)
        with suppress(ParseException), self.timeout_ctx():  # suppressed: the request has been answered, once is enough
            req.body.read(UNREAD_BYTES)
            if not req.body.read(1):
                return True
        raise StopIteration

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ANN401
        """Answer what is not valid HTTP; Gunicorn finds the status."""
        log.request_id.set(request_ids.new())
        super().handle_error(req, client, addr, exc)


def receive(unreader: SocketUnreader, *args: Any) -> bytes:  # noqa: ANN401
    """Receive in place of SocketUnreader.chunk: first what was no plain request, then from the socket.

    From there once the other greenlets have had their turn. gevent's recv() gives them none while data keeps coming: a
    body of a million chunks held up the probes for 3.5 s.
    """
    if unread := _unread.pop(unreader.sock, None):
        return unread
    gevent.sleep()
    return _receive(unreader, *args)


def close(sock: socket.socket) -> None:
    """Hang up as soon as the caller has, or after LINGER_S.

    To close with data unread resets the connection, and a caller who still sends may never read the answer.
    Source: RFC 9112, section 9.6.
    """
    with suppress(OSError), gevent.Timeout(LINGER_S, False):  # type: ignore[arg-type]  # as documented: silent
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            gevent.sleep()  # recv() lets no other greenlet run while data keeps coming
    sock.close()


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answer with JSON in place of gunicorn.util.write_error's HTML, then let Gunicorn hang up."""
    request_id = log.request_id.get()
    reason = HTTP_STATUS_CODES[status_int]  # Gunicorn's own says "Bad Request" for 501, too
    code = reason.lower().replace(" ", "_")
    text = mesg or "An unexpected internal error occurred. Check the logs for more info."
    body = errors.body(text, code, request_id).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nx-request-id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode() + body)
