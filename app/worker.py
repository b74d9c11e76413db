"""Gunicorn's gevent worker, answering in this service's way where no route is reached."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import gevent
from gunicorn import util
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.datastructures import Headers

from . import errors, log
from .entry_script import EntryScriptError
from .lifecycle import end_service


class Worker(GeventWorker):
    """A worker process: one entry script, one event loop."""

    def load_wsgi(self) -> None:
        """Make the application; a script that cannot serve ends the service, with one message."""
        try:
            super().load_wsgi()
        except EntryScriptError as error:
            end_service(str(error))

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
        super().init_process()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ANN401
        """Answer what is not valid HTTP; Gunicorn finds the status."""
        log.begin_request(Headers())
        super().handle_error(req, client, addr, exc)


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answer with JSON in place of gunicorn.util.write_error's HTML, then let Gunicorn hang up."""
    request_id = log.request_id.get()
    code = reason.lower().replace(" ", "_")
    text = mesg or "An unexpected internal error occurred. Check the logs for more info."
    body = errors.body(text, code, request_id).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nx-request-id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode() + body)
