"""What a service that has just become ready tells the person who started it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .settings import Settings
from .triton import ModelState


def ready(settings: Settings, models: Sequence[ModelState], started_in: Path) -> str:
    """Write the table of models, the URL, and a curl line to paste.

    started_in: the directory of whoever started the service, to which the paths in the text are relative.
    """
    table = [("model", "version", "state"), *((each.name, each.version, each.state) for each in models)]
    script = os.path.relpath(settings.entry_script, started_in)
    request = settings.entry_script.parent / "request.json"
    data = f"@{os.path.relpath(request, started_in)}" if request.is_file() else "'{}'"
    return "\n".join(
        [
            f"Ready. Entry script {script}, {settings.worker_count} worker(s).",
            *(_aligned(table) if models else ["Without Triton."]),
            f"POST http://localhost:{settings.port}/score, for example:",
            f"  curl -X POST localhost:{settings.port}/score -d {data}",
        ]
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
