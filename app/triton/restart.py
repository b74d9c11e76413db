"""The process of this service's Triton: who it is, whether it has lost a child, and its end."""

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOG = logging.getLogger("scoregate")
STUB = "triton_python_b"  # the Python backend's processes, by the 15 letters that the kernel keeps of their name


def process_id() -> str:
    """Tell the process id of this service's Triton, which its launcher leaves in a file; empty for one not ours."""
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir(), "triton.pid").read_text()
    return ""


def has_lost_a_stub() -> bool:
    """Whether the process of a model has died. Triton leaves it unburied, a zombie, until the model is unloaded."""
    return "Z" in _stubs(process_id())


def restart(reason: str) -> bool:
    """Kill this service's Triton; supervisord starts it again. Returns whether there was one to kill.

    It is killed outright, since it would wait for the dead model; the processes of the others notice and end.
    """
    try:
        os.kill(int(process_id()), signal.SIGKILL)
    except (ValueError, ProcessLookupError):  # a Triton that is not ours, or that died by itself
        return False
    LOG.error("Triton is started anew: %s", reason)
    return True


def _stubs(triton: str) -> Iterator[str]:
    """Tell the state of each stub of Triton's. Source: Linux, proc_pid_stat(5)."""
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            name, _, rest = (directory / "stat").read_text().partition("(")[2].rpartition(")")
            state, parent, *_ = rest.split()
            if name == STUB and parent == triton:
                yield state
