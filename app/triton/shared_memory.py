"""Shared memory through which large tensors reach Triton: it reads them in place, instead of receiving them.

Source: Triton's system shared memory extension. Triton counts who reads a region, and does not let go of one in use.
"""

import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from mmap import mmap
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import ClassVar, NamedTuple, TypeVar

import orjson
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from ..eventloop import forks
from ..eventloop.deadline import shielded
from .connections import Connections, succeeded

LOG = logging.getLogger("scoregate")

LARGE_BYTES = 32768  # of all tensors of a call; less is sent as fast
DIRECTORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory, and Triton looks for it
LEAST_SHARED_MEMORY = 256 << 20  # bytes of it, for this to take some: the Python backend needs it, too
MOST_BYTES = 256 << 20  # of all workers' regions
SHARE = 4  # the part of the shared memory that they may have
FULL_S = 1.0  # until the next look whether there is room
UNSEEN_S = 10.0  # for Triton to do what it was told before the connection was closed: to take a region
ALIGNMENT = 64  # bytes; of each tensor in a region
PAGE = 65536  # bytes; regions are multiples of it

NAME = re.compile(r"scoregate-[\w.-]+-(\d+)-[0-9a-f]{8}")  # the last number is the worker's process

Buffer = bytes | memoryview
Result = TypeVar("Result")


class Place(NamedTuple):
    """Where a tensor lies."""

    region: str
    offset: int
    size: int

    @property
    def parameters(self) -> dict[str, str | int]:
        """The parameters of an input, in a request to Triton."""
        return {
            "shared_memory_region": self.region,
            "shared_memory_offset": self.offset,
            "shared_memory_byte_size": self.size,
        }


class _Region(NamedTuple):
    name: str
    memory: mmap


class Regions:
    """The regions of one worker; a call takes an idle one that is large enough, or makes another.

    Triton keeps the list of all of them. A region has a file only until Triton has opened it. What a killed worker had,
    a file perhaps among it, is given back by the next one to make a region, and by supervisord in the end.
    """

    instance: ClassVar[str] = "scoregate-0-0"

    def __init__(self, to_triton: Connections) -> None:
        self._connections = to_triton
        self._idle: list[_Region] = []
        self._abandoned: dict[str, float] = {}  # the name of each, and since when
        self._look_again_at = 0.0
        self._making = 0  # bytes, of greenlets that are about to have one
        total, _ = _sizes()
        self._most = min(total // SHARE, MOST_BYTES) if total >= LEAST_SHARED_MEMORY else 0
        forks.in_child(self._let_go)

    def through(self, tensors: Sequence[Buffer], ask: Callable[[list[Place]], Result]) -> Result | None:
        """Put large tensors where Triton can read them, and ask it. Returns None if they have to be sent.

        ask: raises InferenceServerException for an answer that is a failure. So does this.
        """
        if sum(map(len, tensors)) <= LARGE_BYTES:
            return None
        with shielded():
            return self._through(tensors, ask)

    def _through(self, tensors: Sequence[Buffer], ask: Callable[[list[Place]], Result]) -> Result | None:
        sizes = [len(each) + -len(each) % ALIGNMENT for each in tensors]
        region = self._idle_one(sum(sizes)) or self._another(sum(sizes))
        if region is None:
            return None
        places, at = [], 0
        try:
            for tensor, size in zip(tensors, sizes, strict=True):
                region.memory[at : at + len(tensor)] = tensor
                places.append(Place(region.name, at, len(tensor)))
                at += size
            result = ask(places)
        except InferenceServerException as error:
            if region.name in str(error):
                return None  # it is not known to this Triton, which was started anew
            self._idle.append(region)
            raise
        except BaseException:
            self._abandon(region.name)  # an answer may still be under way, whose tensors these are
            raise
        self._idle.append(region)
        return result

    def _idle_one(self, size: int) -> _Region | None:
        """Take the smallest that will do, of these the one used last: most of it is in a cache still."""
        large_enough = [each for each in reversed(self._idle) if len(each.memory) >= size]
        if not large_enough:
            return None
        region = min(large_enough, key=lambda each: len(each.memory))
        with suppress(ValueError):  # another thread was faster
            self._idle.remove(region)
            return region
        return None

    def _another(self, size: int) -> _Region | None:
        """Make one, if there is room and Triton takes it."""
        size += -size % PAGE
        if not self._most or monotonic() < self._look_again_at:
            return None
        self._making += size
        try:
            if self._taken() + self._making <= self._most and (region := self._made(size)):
                return region
            while self._idle:  # all of them too small: the next look finds room in their place
                self._abandon(self._idle.pop().name)
        except OSError as error:  # no memory is left, or Triton is not there
            LOG.debug("No shared memory for %d bytes: %s", size, error)
        except InferenceServerException as error:
            LOG.info("Triton takes no shared memory, so large tensors are sent: %s", error)
            self._most = 0
        finally:
            self._making -= size
        self._look_again_at = monotonic() + FULL_S
        return None

    def _made(self, size: int) -> _Region | None:
        total, free = _sizes()
        if free - size < total // 2:  # others have taken much; it is Triton's Python backend that needs the rest
            return None
        name = f"{self.instance}-{os.getpid()}-{token_hex(4)}"
        path = DIRECTORY / name
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(file, 0, size)  # or writing to it would be a SIGBUS when there is no memory left
            memory = mmap(file, size)
            self._tell(f"/region/{name}/register", {"key": f"/{name}", "offset": 0, "byte_size": size})
        except BaseException:  # the deadline's, perhaps, when Triton has it already
            self._abandon(name)
            raise
        finally:
            os.close(file)
            path.unlink()
        return _Region(name, memory)

    def _taken(self) -> int:
        """Count the bytes that Triton has of all workers, once what nobody uses any more is let go of."""
        for file in DIRECTORY.glob(f"{self.instance}-*"):
            if _is_of_killed(file.name):
                file.unlink(missing_ok=True)
        response = succeeded(self._connections.get("/v2/systemsharedmemory/status"))
        regions = {each["name"]: each["byte_size"] for each in orjson.loads(response.body)}
        for name, since in list(self._abandoned.items()):
            if name not in regions and monotonic() > since + UNSEEN_S:
                self._abandoned.pop(name, None)
        return sum(size for name, size in regions.items() if not self._is_let_go(name))

    def _let_go(self) -> None:
        """Forget, in a forked process, the worker's regions: both would write to them."""
        self._idle.clear()
        self._abandoned.clear()
        self._making = 0

    def _abandon(self, name: str) -> None:
        self._abandoned[name] = monotonic()

    def _is_let_go(self, name: str) -> bool:
        if name not in self._abandoned and not _is_of_killed(name):
            return False
        try:
            self._tell(f"/region/{name}/unregister", {})
        except InferenceServerException:  # it is in use
            return False
        self._abandoned.pop(name, None)
        return True

    def _tell(self, uri: str, what: dict[str, str | int]) -> None:
        succeeded(self._connections.post(f"/v2/systemsharedmemory{uri}", orjson.dumps(what)))


def _is_of_killed(name: str) -> bool:
    """Tell whether this is a region whose worker is no more."""
    if match := NAME.fullmatch(name):
        return not Path("/proc", match[1]).exists()
    return False


def _sizes() -> tuple[int, int]:
    """Tell how many bytes of shared memory there are, and how many are free."""
    memory = os.statvfs(DIRECTORY)
    return memory.f_blocks * memory.f_frsize, memory.f_bavail * memory.f_frsize


@cache
def regions(url: str) -> Regions:
    """Get the regions for the Triton at url, host:port, that all callers share."""
    return Regions(Connections(url))
