"""Who asks before sending a body (Expect: 100-continue) is told to go on once somebody wants to read it.

Gunicorn says so before the application is asked at all, so that a body comes which is then refused: for its size, for
want of a key or of a place. Source: RFC 9110, section 10.1.1.
"""

import socket
from typing import Any


class ExpectContinue:
    """The reader of a body that is sent only when asked for."""

    def __init__(self, req: Any, sock: socket.socket) -> None:  # noqa: ANN401 - Gunicorn's Request
        self._req = req
        self._sock = sock
        self._reader = req.body.reader
        self._said = False
        self._must_close = req.must_close
        req.must_close = True  # whoever is never asked may send the body all the same

    def read(self, size: int) -> bytes:
        """Read as Gunicorn's readers do; before the first time, ask for the body."""
        if not self._said:
            self._said = True
            self._req.must_close = self._must_close
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        data: bytes = self._reader.read(size)
        return data


def invite_when_read(req: Any, sock: socket.socket) -> None:  # noqa: ANN401
    """Put off what Gunicorn would send at once. Whoever is never asked finds the connection closed after the answer."""
    if req._expected_100_continue:
        req._expected_100_continue = False
        req.body.reader = ExpectContinue(req, sock)
