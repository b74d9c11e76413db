"""The ids by which a request is found again: read from its headers, echoed in its answer's."""

import re
import uuid

from werkzeug.datastructures import Headers

from .errors import IdTooLong

LIMIT = 100
_PRINTABLE = re.compile(r"[ -~]+")  # what goes into a header and into a log line


def read(headers: Headers, echo: dict[str, str]) -> None:
    """Put the headers to be echoed into echo. Raises IdTooLong, with the ids that are too long left out.

    x-request-id: as sent, or a new UUID. x-ms-request-id and x-ms-client-request-id, which Azure ML used for one
    another over time: each as sent, else the other; the first falls back to x-request-id.
    """
    request_id = _sent(headers, "x-request-id") or str(uuid.uuid4())
    if len(request_id) > LIMIT:
        raise IdTooLong(f"x-request-id must not exceed {LIMIT} characters")
    echo["x-request-id"] = request_id
    legacy_id = _sent(headers, "x-ms-request-id")
    client_id = _sent(headers, "x-ms-client-request-id")
    if max(len(legacy_id), len(client_id)) > LIMIT:
        raise IdTooLong(f"x-ms-request-id and x-ms-client-request-id must not exceed {LIMIT} characters")
    echo["x-ms-request-id"] = legacy_id or client_id or request_id
    if client_id or legacy_id:
        echo["x-ms-client-request-id"] = client_id or legacy_id


def _sent(headers: Headers, name: str) -> str:
    value = headers.get(name, "")
    return value if _PRINTABLE.fullmatch(value) else ""
