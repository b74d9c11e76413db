"""How long the requests under way would wait for a model: those with a long network_timeout, of all workers.

Each worker writes once a second what its own would wait into a file of the service's directory, if there are any.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent

LONG_S = 90.0  # what a model has to answer in any case; only what is longer is told
TELL_S = 1.0

_under_way: dict[object, tuple[str, float]] = {}  # the model and the seconds of each request; any thread may add to it


@contextmanager
def waiting(model: str, seconds: float) -> Iterator[None]:
    """Say that a request waits for the model, for so long if it has to."""
    request = object()
    _under_way[request] = model, seconds
    try:
        yield
    finally:
        del _under_way[request]


def keep_telling() -> None:
    """Tell the other workers, for as long as this one lives."""
    file = _directory() / f"patience-{os.getpid()}"
    while True:
        with suppress(OSError):  # no room on the disk: then a model has LONG_S
            _tell(file)
        gevent.sleep(TELL_S)


def longest() -> dict[str, float]:
    """Tell for each model how long a request of any worker would wait for it at most, in seconds."""
    waits: list[tuple[str, float]] = []
    for file in _directory().glob("patience-*"):
        pid = file.name.rpartition("-")[2]
        with suppress(FileNotFoundError):  # its worker has just removed it
            if pid.isdecimal() and Path("/proc", pid).exists():
                waits += json.loads(file.read_text()).items()
    return _longest(waits)


def _tell(file: Path) -> None:
    if not _under_way:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(_longest(list(_under_way.values()))))
    new.replace(file)


def _longest(waits: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for model, seconds in waits:
        found[model] = max(seconds, found.get(model, 0.0))
    return found


def _directory() -> Path:
    return Path(tempfile.gettempdir())
