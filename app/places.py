"""How many requests are inside this worker at once; the others wait for a place, and not for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic

from gevent.lock import Semaphore

from .errors import TooBusy

WAIT_S = 1.0  # for a place; whoever waits longer is better off elsewhere
WEIGHT = 0.05  # of the latest request in the mean time


class Places:
    """The places for requests.

    Whoever waits for one to be free, before receiving a body, has not taken it: a slow sender keeps nobody out.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free = Semaphore(count)
        self._waiting = 0
        self._mean_s = 0.0  # of a request in a place

    def wait(self) -> float:
        """Wait until there is a place; tell how many seconds that took. Raises TooBusy."""
        if not self._free.locked():
            return 0.0
        started = monotonic()
        with self._in_line():
            if not self._free.wait(timeout=WAIT_S):
                raise self._too_busy()
        return monotonic() - started

    def take(self, waited_s: float) -> None:
        """Take a place, to be left. waited_s: how long there was none before. Raises TooBusy."""
        if not self._free.acquire(blocking=False):
            with self._in_line():
                if not self._free.acquire(timeout=max(WAIT_S - waited_s, 0)):
                    raise self._too_busy()

    def leave(self, seconds: float) -> None:
        """Give the place back after so many seconds."""
        self._free.release()
        self._mean_s += (seconds - self._mean_s) * WEIGHT

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _too_busy(self) -> TooBusy:
        """Retry when those who wait now have had their turn: in each mean time, as many are served as have places."""
        seconds = max(1, ceil(self._mean_s * (1 + self._waiting / self._count)))
        return TooBusy(
            f"{self._count} requests are under way, as many as MAX_IN_FLIGHT allows, and {self._waiting} wait. "
            f"Try again in {seconds} s.",
            seconds,
        )
