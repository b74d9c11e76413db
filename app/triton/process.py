"""Starting Triton anew, when it is up and yet of no use."""

import logging
import os
import signal
import tempfile
from pathlib import Path
from time import time

LOG = logging.getLogger("scoregate")
PAUSE_S = 10.0  # between two restarts: a model that dies again and again does not take the others with it


def process_id() -> str:
    """Tell the process id of this service's Triton; empty for one that is not ours."""
    return _pid_file().read_text() if _pid_file().exists() else ""


def restart(reason: str) -> bool:
    """Kill this service's Triton; supervisord starts it again. Once, however many requests and workers find out.

    The launcher leaves Triton's pid in a file. It is killed outright, since it would wait for the dead model; the
    processes of the others notice and end. Returns whether a restart is under way: none is if the last was a moment
    ago, or if this Triton is not ours.
    """
    pid = _pid_file()
    done = pid.with_name("triton-restarted")
    try:
        if done.exists():
            if done.stat().st_mtime > pid.stat().st_mtime:
                return True  # by another request
            if time() - done.stat().st_mtime < PAUSE_S:
                return False
        done.touch()
        os.kill(int(pid.read_text()), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):  # a Triton that is not ours, or that died by itself
        return False
    LOG.error("Triton is started anew: %s", reason)
    return True


def _pid_file() -> Path:
    return Path(tempfile.gettempdir(), "triton.pid")
