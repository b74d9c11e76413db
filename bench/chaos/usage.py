"""What the service holds: processes, files, shared memory, memory."""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Self

from .service import Service


@dataclass(frozen=True)
class Usage:
    """Of all processes together. shared_memory: entries of /dev/shm. zombies: dead, and not waited for by a parent."""

    processes: int
    open_files: int
    shared_memory: int
    zombies: int
    pss_mib: float

    @classmethod
    def of(cls, service: Service) -> Self:
        """Read it. Source: proc_pid_smaps(5), smaps_rollup."""
        processes = service.processes()
        open_files, pss_kib = 0, 0
        for each in processes:
            with contextlib.suppress(OSError):  # it has ended
                open_files += len(list(Path(f"/proc/{each.pid}/fd").iterdir()))
                rollup = Path(f"/proc/{each.pid}/smaps_rollup").read_text()
                pss_kib += sum(map(int, re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)))
        return cls(
            processes=len(processes),
            open_files=open_files,
            shared_memory=len(service.shared_memory()),
            zombies=sum(each.state == "Z" for each in processes),
            pss_mib=pss_kib / 1024,
        )


HEAD = ["processes", "open files", "/dev/shm entries", "zombies", "PSS MiB"]


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

    def rows(self) -> list[list[str]]:
        """Write a table for HEAD: all, or over minutes the first, the last and the growth."""
        rows = [[when, *(f"{value:.0f}" for value in asdict(each).values())] for when, each in self.usages.items()]
        if growth := self.growth_an_hour():
            return [rows[0], rows[-1], ["growth an hour", *(f"{value:+.1f}" for value in growth.values())]]
        return rows
