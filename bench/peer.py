"""What a peer is: how its server is started and how it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cases import Case
from .dialects import PLAIN, Dialect


@dataclass(frozen=True)
class Launch:
    """What a server needs to know to start. triton_port, metrics_port: those of the Triton that it asks."""

    python: Path
    case: Case
    workers: int
    port: int
    triton_port: int
    metrics_port: int


def nothing(_: Launch) -> dict[str, str]:
    """Add no variables."""
    return {}


@dataclass(frozen=True)
class Peer:
    """One way to serve a model, a row for each count of workers.

    home: the server's working directory. command: starts the server, with environment beside the variables that all get
    (rows.py); None: there is but the shared Triton.
    """

    name: str
    home: Path
    command: Callable[[Launch], list[str]] | None
    environment: Callable[[Launch], dict[str, str]] = nothing
    workers: tuple[int, ...] = (1,)
    own_venv: bool = False  # with what requirements.txt in home lists; else the service's
    triton: Literal["none", "own", "shared"] = "none"  # which one it asks
    dialect: Dialect = PLAIN  # how it is asked
    answers: bool = True  # with what the model says
    binary: bool = True  # takes a body of bytes
    polls: bool = False  # uses the processor while nobody asks
    missing: Callable[[], str] = str  # why it cannot run here, or ""
