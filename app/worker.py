"""Gunicorn's gevent worker, answering in this service's way where no route is reached."""

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import gevent
from gunicorn import util
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.http import HTTP_STATUS_CODES

from . import errors, log

UNREAD_BYTES = 65536  # of a body that its route did not read; for more, the connection is not worth keeping
LINGER_S = 2.0
_receive = SocketUnreader.chunk


class Worker(GeventWorker):
    """A worker process: one entry script, one event loop."""

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # the stub forgot what it returns
        """Bound the wait for a connection's next request; Gunicorn enters this before it reads one."""
        connection = cast("gevent.Greenlet[..., None]", gevent.getcurrent())
        self._waiting.add(connection)
        try:
            with gevent.Timeout(self.cfg.keepalive, False):  # type: ignore[arg-type]  # as documented: silent
                yield
        finally:
            self._waiting.discard(connection)

    def notify(self) -> None:
        """Show a sign of life, once a second; when the worker is stopping, hang up where no request is under way.

        Gunicorn itself would wait for idle keep-alive connections as long as for requests, for graceful_timeout.
        """
        super().notify()
        if not self.alive:
            for connection in self._waiting:
                connection.kill(NoMoreData(), block=False)

    def init_process(self) -> None:
        """Run the worker."""
        self._waiting: set[gevent.Greenlet[..., None]] = set()
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
        log.request_id.set(str(uuid.uuid4()))
        super().handle_error(req, client, addr, exc)


def receive(*args: Any) -> bytes:  # noqa: ANN401
    """Receive in place of SocketUnreader.chunk, once the other greenlets have had their turn.

    gevent's recv() gives them none while data keeps coming: a body of a million chunks held up the probes for 3.5 s.
    """
    gevent.sleep()
    return _receive(*args)


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
