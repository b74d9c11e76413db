"""One question of how the service grows, with its figures and its picture; and the services that are asked."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..cases import Case
from ..peer import Peer
from ..peers import scoregate
from ..rows import NotRun, Row, rows_up

SCRIPTS = Path(__file__).parent / "scripts"
Figures = list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Part:
    """measure() gives a dict for each line of the table, units in its keys; draw(axes, figures) makes the picture."""

    name: str
    meaning: str
    measure: Callable[[], Figures]
    draw: Callable[[Any, Figures], None] | None = None


def services() -> list[Peer]:
    """List the service with either script for the model mean; the small call only where there is one."""
    azure = _with_script(scoregate.PEER, "azure.py")
    return [azure] if scoregate.own_call_is_missing() else [azure, _with_script(scoregate.OWN, "own.py")]


@contextlib.contextmanager
def alone(peer: Peer, case: Case) -> Iterator[Row]:
    """Run one service with nothing beside it. Raises NotRun."""
    not_run: dict[str, str] = {}
    with rows_up([peer], case, not_run) as rows:
        for reason in not_run.values():
            raise NotRun(f"{peer.name}: {reason}")
        yield rows[0]


def _with_script(peer: Peer, script: str) -> Peer:
    environment = functools.partial(scoregate.environment, script=SCRIPTS / script)
    return dataclasses.replace(peer, environment=environment, workers=(1,))
