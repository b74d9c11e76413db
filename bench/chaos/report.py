"""What was seen, as tables for people and as JSON."""

import json
import os
import platform
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import venvs
from . import figures, usage
from .figures import Row
from .usage import Course

RESULTS = venvs.BENCH / "results"


def write(rows: Sequence[Row], courses: Sequence[Course], command: Sequence[str]) -> Path:
    """Write chaos.json and chaos.md; gives the latter's path. courses: of what the service held."""
    RESULTS.mkdir(exist_ok=True)
    machine = f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    raw = {
        "command": shlex.join(command),
        "machine": machine,
        "faults": [asdict(row) for row in rows],
        "usage": [asdict(course) | {"growth_an_hour": course.growth_an_hour()} for course in courses],
    }
    (RESULTS / "chaos.json").write_text(json.dumps(raw, indent=1) + "\n")
    page = RESULTS / "chaos.md"
    page.write_text("\n".join(_page(rows, courses, f"`{shlex.join(command)}`, on: {machine}.")) + "\n")
    return page


def _page(rows: Sequence[Row], courses: Sequence[Course], caption: str) -> Iterator[str]:
    yield from ("# Chaos", "", caption, "", "How to read it: [README.md](../README.md#chaos).", "")
    yield from _aligned(figures.HEAD, [row.cells() for row in rows])
    yield ""
    for row in rows:
        yield from (f"- {row.fault}: {note}" for note in row.notes)
        yield from (f"- {row.fault}: **{problem}**" for problem in row.problems)
    for course in courses:
        yield from ("", f"## {course.title}", "")
        yield from _aligned(["", *usage.HEAD], course.rows())


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out a Markdown table that can be read as it is; its first column is text, the others are numbers."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for row in (head, rule, *rows):
        first, *numbers = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))]
        yield f"| {' | '.join(cells)} |"


def _processor() -> str:
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return models[0] if models else platform.machine()
