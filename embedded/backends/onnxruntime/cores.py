"""How many threads a model that computes on the CPU is to have."""

import math
import os
from pathlib import Path

CORE = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"  # the processors that are one core, as text
LIMIT = "/sys/fs/cgroup/cpu.max"  # of the container: microseconds of processor time, or max, in so many microseconds


def core_count() -> int:
    """Count the cores that this process may use: those it may run on, but no more than its container's limit.

    Two hardware threads of a core count as one, since they share what computes.
    Source: Linux, sched_setaffinity(2), Documentation/admin-guide/cgroup-v2.rst, cpu.max.
    """
    cores = {_read(CORE.format(processor)) or processor for processor in os.sched_getaffinity(0)}
    limit, _, period = _read(LIMIT).partition(" ")
    return min(len(cores), math.ceil(int(limit) / int(period))) if limit.isdecimal() else len(cores)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # not every kernel or sandbox tells
        return ""
