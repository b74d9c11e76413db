"""Where code may be interrupted by an exception that it does not expect.

Interrupted at the wrong place, a library is broken for all requests that follow: a lock of `logging` stays taken, a
module stays half made. So the whole stack decides, not the frame that happens to be on top. Only the stack above a
boundary counts: below the call of a request lies the code of gevent, which runs all of them.

- Code that computes may be interrupted between any two instructions. It is not while the import system, logging,
  threading, queue, gevent or asyncio are on the stack, nor inside this service's own code. A script's own code is
  interrupted at once, a library's after a while: its loops end, too, but its short parts are left whole.
- Code that waits is written with an exception in mind, since a wait can always fail. It is interrupted, inside of
  `queue.get()`, too; not while it is importing or logging, nor where it takes a condition's lock back, which its caller
  will release.
"""

import asyncio
import concurrent.futures.thread
import importlib
import logging
import queue
import sysconfig
import threading
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

import gevent
from greenlet import greenlet

LIBRARY_S = 1.0  # how late a request has to be for the code of a library to be interrupted


class Whose(Enum):
    """Whose code a frame runs."""

    NEVER = "importlib's or logging's"
    WAITS = "what runs many things at once, which can be interrupted where it waits"
    OURS = "this service's"
    SCRIPT = "the script's"
    LIBRARY = "a library's"


def _directory(file: str | None) -> str:
    return f"{Path(str(file)).parent}/"


_NEVER = ("<frozen importlib", _directory(importlib.__file__), _directory(logging.__file__))
_WAITS = (threading.__file__, queue.__file__, _directory(gevent.__file__), _directory(asyncio.__file__))
_OURS = f"{Path(__file__).parents[1]}/"  # all of the service's rooms
# What of ours computes for the script and keeps no books: it is a library like any other.
_LIBRARY = frozenset(
    f"{_OURS}{name}.py"
    for name in (
        *("scoring/render", "script/arguments", "script/body", "script/fast_json", "script/json_writer"),
        *("triton/casting", "triton/model", "triton/upstream_types"),
    )
)
_INSTALLED = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})

# What lies below the frames of these runs the code above them, and many others.
boundaries: set[CodeType] = {
    asyncio.Handle._run.__code__,
    threading.Thread.run.__code__,
    concurrent.futures.thread._WorkItem.run.__code__,
}


class Stacks:
    """Tells what is on a stack. script_directories: where the script's own code is."""

    def __init__(self, script_directories: Iterable[Path]) -> None:
        self._script = tuple(f"{each}/" for each in script_directories)
        self._whose = lru_cache(4096)(self._find_out)

    def may_interrupt(self, frame: FrameType, late_s: float) -> bool:
        """Tell whether to interrupt what computes in this frame for a request that is late_s too late."""
        innermost = self._whose(frame.f_code.co_filename)
        if innermost is Whose.OURS or (innermost is Whose.LIBRARY and late_s < LIBRARY_S):
            return False
        at: FrameType | None = frame
        while at and (at is frame or at.f_code not in boundaries):
            if self._whose(at.f_code.co_filename) in (Whose.NEVER, Whose.WAITS):
                return False
            at = at.f_back
        return True

    def _find_out(self, filename: str) -> Whose:
        if filename.startswith(_NEVER):
            return Whose.NEVER
        if filename.startswith(_WAITS):
            return Whose.WAITS
        if filename.startswith(_OURS) and filename not in _LIBRARY:
            return Whose.OURS
        # A virtual environment may lie in the script's directory, as may this service.
        if filename.startswith(self._script) and not filename.startswith((*_INSTALLED, _OURS)):
            return Whose.SCRIPT
        return Whose.LIBRARY


def may_be_woken(waiting: greenlet) -> bool:
    """Tell whether to interrupt the wait of a greenlet. Call it in the event loop, while the greenlet waits."""
    at = waiting.gr_frame
    while at and at.f_code not in boundaries:
        if at.f_code.co_filename.startswith(_NEVER) or at.f_code.co_name == "_acquire_restore":
            return False
        at = at.f_back
    return waiting.gr_frame is not None
