"""What a service that has just become ready tells the person who started it."""

import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..settings import Settings
from ..triton import ModelState

ALL = ("0.0.0.0", "::")  # noqa: S104 - every address of a machine


def ready(settings: Settings, models: Sequence[ModelState], started_in: Path) -> str:
    """Write the table of models, the URL, and a curl line to paste.

    started_in: the directory of whoever started the service, to which the paths in the text are relative.
    """
    table = [("model", "version", "state"), *((each.name, each.version, each.state) for each in models)]
    script = os.path.relpath(settings.entry_script, started_in)
    request = settings.entry_script.parent / "request.json"
    key = ' -H "Authorization: Bearer <key>"' if settings.needs_key else ""
    host = "localhost" if settings.host in ALL else f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if settings.tls_cert_file else 'http'}://{host}:{settings.port}"
    data = f"@{os.path.relpath(request, started_in)}" if request.is_file() else "'{}'"
    return "\n".join(
        [
            f"Ready. Entry script {script}, {settings.worker_count} worker(s).",
            *(_aligned(table) if models else ["Triton has loaded no model." if settings.triton else "Without Triton."]),
            f"POST {url}/score, for example:",
            f"  curl -X POST {url.removeprefix('http://')}/score{key} -d {data}",
        ]
    )


def open_to_all(settings: Settings) -> str | None:
    """Warn when whoever reaches this machine may score."""
    if settings.needs_key or _is_loopback(settings.host):
        return None
    return f"AUTH_KEYS is not set: whoever reaches port {settings.port} may score."


def _is_loopback(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = ipaddress.ip_address(socket.getaddrinfo(host, None, family)[0][4][0])
    except OSError:  # a name that cannot be looked up at the moment
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
