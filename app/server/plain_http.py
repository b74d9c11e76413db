"""The plain scoring request, read with no more work than it needs.

Nearly all requests of a scoring service look alike: POST /score over HTTP/1.1, a Content-Length, a few headers, each
once. These are read here. All others (another route, a chunked body, Expect, a head in several pieces, anything
doubtful) go to Gunicorn's parser, which judges the whole of HTTP, byte for byte as they came.
"""

import io
import re
import socket
from functools import lru_cache
from typing import Any, NamedTuple

import gevent

HEAD_BYTES = 8190  # as long as Gunicorn lets one line be
IN_A_ROW = 4  # receives of a body, a moment at most, until the other greenlets have their turn
FIELDS = 100  # Gunicorn's limit_request_fields
HEADS = 256  # that are remembered

_LINE = b"POST /score HTTP/1.1\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_LENGTH = re.compile(r"[0-9]{1,15}")
_AUTHORIZATION = b"\r\nauthorization:"
_SECRET = re.compile("AUTHORIZATION|COOKIE|KEY|TOKEN|SECRET")  # in a header's name
_heads: dict[bytes, dict[str, str]] = {}  # callers send the same again and again
# Names, as in the environ, of headers that change how a request is read or answered.
SPECIAL = frozenset(("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE", "HTTP_HTTP2_SETTINGS", "HTTP_TE"))


class Incoming(io.RawIOBase):
    """What is still to be received of a body; io.BufferedReader makes it a wsgi.input that reads without copying."""

    def __init__(self, sock: socket.socket, begun: memoryview, length: int) -> None:
        self._sock = sock
        self._begun = begun
        self._receives = 0
        self.left = length
        self.has_ended = False  # before all of it was there

    def readable(self) -> bool:
        """Say so to io.BufferedReader."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Receive into the buffer; 0 once the body has ended or the caller has hung up."""
        wanted = min(len(buffer), self.left)
        if begun := self._begun[:wanted]:
            received = len(begun)
            buffer[:received] = begun
            self._begun = self._begun[received:]
        elif wanted:
            self._receives += 1
            if self._receives % IN_A_ROW == 0:
                gevent.sleep()  # recv_into() lets no other greenlet run while data keeps coming
            received = self._sock.recv_into(buffer, wanted)
            self.has_ended = not received
        else:
            received = 0
        self.left -= received
        return received


class PlainRequest(NamedTuple):
    """A request to be served. body: what of it is still to be received; following: what was received after it."""

    environ: dict[str, Any]
    body: Incoming | None
    following: bytes


def parse(data: bytes, sock: socket.socket, base: dict[str, Any], not_plain: frozenset[str]) -> PlainRequest | None:
    """Read the request that data begins with, or return None if it is not a plain one.

    base: the WSGI environ of every request on this connection. not_plain: header names (as in the environ) of requests
    that are to be Gunicorn's.
    """
    start = data.find(b"\r\n\r\n", 0, HEAD_BYTES) + 4
    if not data.startswith(_LINE) or start < len(_LINE) + 4:
        return None
    fields = _fields(data[len(_LINE) : start - 4])
    if not fields or not not_plain.isdisjoint(fields):
        return None
    environ = base | fields
    end = start + int(environ["CONTENT_LENGTH"])
    if len(data) < end:
        body = Incoming(sock, memoryview(data)[start:], end - start)
        environ["wsgi.input"] = io.BufferedReader(body)
        return PlainRequest(environ, body, b"")
    environ["wsgi.input"] = io.BytesIO(data[start:end])
    return PlainRequest(environ, None, data[end:])


def _fields(head: bytes) -> dict[str, str] | None:
    """Read the headers, named as in the environ; None if they are not plain.

    A head is remembered without its Authorization, and not at all if another header may hold a secret.
    """
    if fields := _heads.get(head):
        return fields
    start = head.lower().find(_AUTHORIZATION)
    if start < 0:
        return _read(head)
    end = head.find(b"\r\n", start + 2)
    if end < 0:
        end = len(head)
    others = head[:start] + head[end:]
    fields = _heads.get(others) or _read(others)
    value = head[start + len(_AUTHORIZATION) : end].decode("latin-1")
    if not fields or "HTTP_AUTHORIZATION" in fields or len(fields) == FIELDS:
        return None
    return fields | {"HTTP_AUTHORIZATION": value.strip(" ")} if value.isascii() and value.isprintable() else None


def _read(head: bytes) -> dict[str, str] | None:
    lines = head.decode("latin-1").split("\r\n")
    if not head.isascii() or not "".join(lines).isprintable():  # a tab is allowed, and Gunicorn's to read
        return None
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not (key := _environ_key(name)):
            return None
        fields[key] = value.strip(" ")
    if len(fields) < len(lines) or len(lines) > FIELDS:  # a name came twice, or there are too many
        return None
    if "HTTP_HOST" not in fields or fields.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive":
        return None
    if not _LENGTH.fullmatch(fields.get("CONTENT_LENGTH", "")):
        return None
    if not _SECRET.search(" ".join(fields)):
        if len(_heads) == HEADS:
            _heads.clear()
        _heads[head] = fields
    return fields


@lru_cache(256)
def _environ_key(name: str) -> str:
    """Name a header as the environ does; "" for one that is not plain."""
    key = name.upper().replace("-", "_") if _NAME.fullmatch(name) else ""
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH", "") else f"HTTP_{key}"
