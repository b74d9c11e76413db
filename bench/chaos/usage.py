"""What the service holds: processes, files, shared memory, memory."""

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Self

from .service import Service

STAY_S = 1.0  # longer than a region has a file: for the moment in which Triton opens it


@dataclass(frozen=True)
class Usage:
    """Of all processes together.

    shared_memory: entries of /dev/shm that stay. regions: the workers' that Triton holds, which have no entry any more.
    zombies: dead, and not waited for by a parent. pss_mib: without files such as libraries, whose pages are shared with
    other services on the machine: the end of one of these would look like a leak.
    """

    processes: int
    open_files: int
    shared_memory: int
    regions: int
    zombies: int
    pss_mib: float

    @classmethod
    def of(cls, service: Service) -> Self:
        """Read it. Raises Gone if Triton does not answer. Source: proc_pid_smaps(5), smaps_rollup."""
        entries = set(service.shared_memory())
        time.sleep(STAY_S)
        processes = service.processes()
        open_files, pss_kib = 0, 0
        for each in processes:
            with contextlib.suppress(OSError):  # it has ended
                open_files += len(list(Path(f"/proc/{each.pid}/fd").iterdir()))
                rollup = Path(f"/proc/{each.pid}/smaps_rollup").read_text()
                pss_kib += sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", rollup, re.MULTILINE)))
        return cls(
            processes=len(processes),
            open_files=open_files,
            shared_memory=len(entries.intersection(service.shared_memory())),
            regions=service.regions(),
            zombies=sum(each.state == "Z" for each in processes),
            pss_mib=pss_kib / 1024,
        )


HEAD = ["processes", "open files", "/dev/shm entries", "regions", "zombies", "PSS MiB"]
# By how much these may exceed what there was before; the others are to be as before. A file or a MiB that stays behind
# at each of ten kills is found; measured were 2 files more at most, connections of the moment under load, and 3 MiB.
# A worker has as many regions as it had large requests at once, and 6 callers send them.
MARGINS = {"open_files": 9, "regions": 6, "pss_mib": 9}


@dataclass(frozen=True)
class Course:
    """What a service held, by when that was. minutes: the same as numbers, where the time itself matters."""

    title: str
    usages: dict[str, Usage]
    minutes: Sequence[float] = ()

    def growth_an_hour(self) -> dict[str, float]:
        """Give how much each figure grows, by the straight line that fits best; nothing without the minutes."""
        if not self.minutes:
            return {}
        series = {name: [asdict(each)[name] for each in self.usages.values()] for name in Usage.__annotations__}
        return {name: linear_regression(self.minutes, series[name]).slope * 60 for name in series}

    @property
    def shown(self) -> dict[str, Usage]:
        """All, or over minutes the first and the last."""
        readings = list(self.usages.items())
        return dict((readings[0], readings[-1]) if self.minutes else readings)

    def problems(self) -> list[str]:
        """Name what is not as it was in the beginning, when there has to be no zombie either."""
        before = asdict(next(iter(self.usages.values()))) | {"zombies": 0}
        return [
            f"{when}: {value:.0f} {what}, {before[name]:.0f} before"
            for when, each in self.shown.items()
            for what, (name, value) in zip(HEAD, asdict(each).items(), strict=True)
            if (value > before[name] + MARGINS[name] if name in MARGINS else value != before[name])
        ]

    def rows(self) -> list[list[str]]:
        """Write a table for HEAD: what is shown, and over minutes the growth."""
        rows = [[when, *(f"{value:.0f}" for value in asdict(each).values())] for when, each in self.shown.items()]
        if growth := self.growth_an_hour():
            rows.append(["growth an hour", *(f"{value:+.1f}" for value in growth.values())])
        return rows
