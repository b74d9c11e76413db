"""An answer on its way: what the application says to start_response, how it is sent, what became of it."""

import logging
import re
import socket
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from gunicorn import SERVER
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.util import hop_headers

from .untaken import CallerLeft, Outgoing, Untaken

Header = tuple[str, str]

LOG = logging.getLogger("scoregate")
JOIN_BYTES = 65536  # up to this size head and body are joined and sent in one call; beyond it the copy costs more
CLIENT_GONE = "client_gone"
BROKEN = "broken"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_STATUS = re.compile(r"[2-9][0-9]{2} [ -~]*")
# What Gunicorn's Response asks of a request, for one that plain_http has read.
PLAIN = SimpleNamespace(version=(1, 1), method="POST", should_close=lambda: False)


class Reply:
    """The answer to one request.

    outcome: what became of it: the status that was sent, BROKEN when the script's body did not come to its end or is
    not as long as the script had said, or CLIENT_GONE.
    """

    def __init__(self, request: Any) -> None:  # noqa: ANN401 - Gunicorn's Request, or PLAIN
        self._request = request
        self._headers: list[Header] = []
        self.status = ""
        self.outcome = "500"  # until an answer is on its way, that is what is left to be sent

    def start(self, status: str, headers: Iterable[Header], _exc_info: object = None) -> None:
        """Be the start_response of a WSGI application that does not use its write()."""
        self.status = status
        self._headers = list(headers)

    def send(
        self, sock: socket.socket, chunks: Iterable[bytes], cfg: Config, untaken: Untaken, keep_alive: bool
    ) -> bool:
        """Send the answer; tell whether the connection can go on.

        To a plain request a list is sent in one piece with the head, if that is a plain one, too. Whatever else is
        framed by Gunicorn. What fails before the head is sent is raised. Raises CallerLeft.
        """
        try:
            if self._request is PLAIN and isinstance(chunks, list):
                length = sum(map(len, chunks))
                if fields := self._plain_fields(length):
                    self._send_whole(sock, fields, chunks, length, untaken, keep_alive)
                    return keep_alive
            return self._send_framed(Outgoing(sock, untaken), chunks, cfg, keep_alive)
        finally:
            if hasattr(chunks, "close"):
                _close(chunks)

    def _send_whole(
        self,
        sock: socket.socket,
        fields: str,
        chunks: list[bytes],
        length: int,
        untaken: Untaken,
        keep_alive: bool,
    ) -> None:
        head = (
            f"HTTP/1.1 {self.status}\r\nServer: {SERVER}\r\nDate: {_date(int(time.time()))}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n{fields}\r\n"
        ).encode("latin-1")
        self.outcome = CLIENT_GONE
        if length > JOIN_BYTES:
            untaken.send(sock, head, *chunks)
        else:
            data = b"".join((head, *chunks))
            sent = sock.send(data)
            if sent < len(data):
                untaken.send(sock, memoryview(data)[sent:])
        self.outcome = self.status[:3]

    def _send_framed(self, out: Outgoing, chunks: Iterable[bytes], cfg: Config, keep_alive: bool) -> bool:
        response = wsgi.Response(self._request, out, cfg)  # type: ignore[arg-type]
        if not keep_alive:
            response.force_close()
        response.start_response(self.status, self._headers)
        omits_body = response._omits_body  # type: ignore[attr-defined]  # to HEAD, or with 204: the stub lacks it
        said = None if omits_body else response.response_length
        length = 0
        try:
            for chunk in chunks:
                response.write(chunk)
                length += len(chunk)
                if said is not None and length > said:
                    break
            if said is None or length == said:
                response.close()
                self.outcome = self.status[:3]
                return not response.should_close()
            response.send_headers()  # where there was no chunk at all
            fault = f"The script's answer has {'more' if length > said else 'less'} bytes than its Content-Length"
            LOG.error("%s, %d. The connection is closed.", fault, said)
        except CallerLeft:
            self.outcome = CLIENT_GONE
            raise
        except BaseException as error:
            if not response.headers_sent:
                raise
            LOG.error("The script's answer broke off after %d bytes. The connection is closed.", length, exc_info=error)
        self.outcome = BROKEN
        return False

    def _plain_fields(self, length: int) -> str:
        """Write the headers; nothing if one is not valid, there twice or the server's, or the length is another."""
        values = "".join([value for _, value in self._headers])
        if not (values.isascii() and values.isprintable() and ("Content-Length", str(length)) in self._headers):
            return ""
        if not _is_plain(self.status, tuple([name for name, _ in self._headers])):
            return ""
        return "".join([f"{name}: {value}\r\n" for name, value in self._headers])


def _close(chunks: Any) -> None:  # noqa: ANN401 - what an application returned
    """Close what has been sent. What the script's own clean-up raises must not be a second answer."""
    try:
        chunks.close()
    except BaseException:
        LOG.exception("The answer was sent, but what the script does after it failed.")


@lru_cache(256)
def _is_plain(status: str, names: tuple[str, ...]) -> bool:
    lower = {name.lower() for name in names if _NAME.fullmatch(name)}
    return len(lower) == len(names) and lower.isdisjoint(hop_headers) and bool(_STATUS.fullmatch(status))


@lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
