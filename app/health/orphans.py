"""No process outlives the service that started it: how that is made sure, and what is done about one that does."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from ..health import lifecycle
from ..settings import SettingError

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1  # Linux's, <sys/prctl.h>
LISTENING = "0A"  # a socket's state, as /proc/net/tcp tells it
END_S = 10.0  # for orphans to finish their requests
POLL_S = 0.05


def die_with(parent: int, number: int) -> None:
    """Let the kernel send this process a signal when its parent dies. It lasts through exec.

    Source: prctl(2). A program that changes its user at exec loses it, and is found as an orphan at the next start.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it has died before
        os.kill(os.getpid(), number)


def end_orphans(instance: str, directory: Path) -> list[int]:
    """End the processes that a killed service of this name and directory left; return their pids.

    To be called by who has locked the directory. Raises SettingError if that service still runs: it had the directory
    until somebody removed it.
    """
    orphans = {}
    for pid, variables in _environments():
        if variables.get("INSTANCE") == instance and variables.get("TMPDIR") == str(directory):
            orphans[pid] = variables
    for variables in orphans.values():
        state = Path(variables.get(lifecycle.VARIABLE, "-"))
        if lifecycle.exists(state):
            raise SettingError(f"The service of process {state.parts[2]} has this HOST and PORT. Stop that one.")
    _end(set(orphans))
    return sorted(orphans)


def listener(port: int) -> str:
    """Name the process that listens on a port; empty if it cannot be found."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *others = line.split()
                if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{others[5]}]")
    for pid in _pids():
        with contextlib.suppress(OSError):
            for file in (PROC / str(pid) / "fd").iterdir():
                if str(file.readlink()) in sockets:
                    command = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    return f"process {pid}, {command.strip()[:100]!r}"
    return ""


def _end(pids: set[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGCONT):
        _send(pids, number)
    end = time.monotonic() + END_S
    while pids and time.monotonic() < end:
        time.sleep(POLL_S)
        pids = {pid for pid, _ in _environments() if pid in pids}  # not those that are dead and still in the table
    _send(pids, signal.SIGKILL)


def _send(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _pids() -> Iterator[int]:
    return (int(each.name) for each in PROC.iterdir() if each.name.isdecimal())


def _environments() -> Iterator[tuple[int, dict[str, str]]]:
    """List the processes whose environment can be read and is not empty, as that of a dead one is."""
    for pid in _pids():
        with contextlib.suppress(OSError):
            text = (PROC / str(pid) / "environ").read_bytes().decode(errors="surrogateescape")
            if text:
                yield pid, dict(line.partition("=")[::2] for line in text.split("\0"))
