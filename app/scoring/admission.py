"""How many requests are inside this worker at once; the others wait for a place, and not for long."""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from math import ceil
from time import monotonic
from typing import Any, NamedTuple

import gevent
from gevent.hub import Waiter

from ..errors import TooBusy

WAIT_S = 1.0  # for a place; whoever waits longer is better off elsewhere
WEIGHT = 0.05  # of the latest request in the mean time
REMEMBERED = 10_000  # refused callers: as many as a worker has connections
HAS_BODY = 0.0


class _InLine(NamedTuple):
    """One who waits for a place. since: when they came; HAS_BODY for those who waited already. number: never twice."""

    since: float
    number: int
    waiter: "Waiter[None]"


class Admission:
    """The places for requests: first come, first served.

    Whoever waits for one to be free, before receiving a body, has not taken it: a slow sender keeps nobody out. Who
    finds it taken once the body is there goes on waiting, ahead of all whose body is not there: they came later.
    A caller who was refused, and tries again on the same connection, has come when they came first. Otherwise those who
    are refused would be refused again and again: whoever was served is back in the line before them.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._free = places
        self._line: list[_InLine] = []  # sorted
        self._numbers = count()
        self._refused: OrderedDict[object, float] = OrderedDict()  # callers, and since when they wait
        self._mean_s = 0.0  # of a request in a place

    def wait(self, environ: Mapping[str, Any]) -> float:
        """Wait until there is a place and nobody has come before; tell how many seconds that took. Raises TooBusy.

        environ: that of the request, whose connection is its caller.
        """
        if self._free and not self._line:
            return 0.0
        now = monotonic()
        caller = environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")
        since = self._refused.pop(caller, now)
        try:
            self._wait_in_line(since, WAIT_S)
        except TooBusy:
            self._refused[caller] = since
            if len(self._refused) > REMEMBERED:
                self._refused.popitem(last=False)
            raise
        return monotonic() - now

    def acquire(self, waited_s: float) -> None:
        """Take a place, to be left. waited_s: how long there was none before. Raises TooBusy."""
        if not self._free or (self._line and self._line[0].since == HAS_BODY):
            self._wait_in_line(HAS_BODY, max(WAIT_S - waited_s, 0))
        self._free -= 1

    def release(self, seconds: float) -> None:
        """Give the place back after so many seconds."""
        self._free += 1
        self._mean_s += (seconds - self._mean_s) * WEIGHT
        if self._line:
            self._call_soon()
        elif self._refused:  # there is room for everybody now
            self._refused.clear()

    def _wait_in_line(self, since: float, seconds: float) -> None:
        """Wait until called. Raises TooBusy."""
        this = _InLine(since, next(self._numbers), Waiter())
        try:
            insort(self._line, this)
            with gevent.Timeout(seconds, TimeoutError):
                this.waiter.get()
        except TimeoutError:
            raise self._too_busy() from None
        finally:
            place = bisect_left(self._line, this)
            if self._line[place : place + 1] == [this]:  # not called
                del self._line[place]

    def _call_soon(self) -> None:
        gevent.get_hub().loop.run_callback(self._call)

    def _call(self) -> None:
        """Let the first in line go on, if there is a place.

        It runs at once, until it waits for something else. So nobody else can take the place meanwhile, and a place
        that nobody takes was given to nobody.
        """
        if self._free and self._line:
            self._line.pop(0).waiter.switch(None)
            self._call_soon()  # it may wait for its body now, or have been done already

    def _too_busy(self) -> TooBusy:
        """Retry when those who wait now have had their turn: in each mean time, as many are served as have places."""
        seconds = max(1, ceil(self._mean_s * (1 + len(self._line) / self._places)))
        return TooBusy(
            f"{self._places} requests are under way, as many as MAX_IN_FLIGHT allows, and {len(self._line)} wait. "
            f"Try again in {seconds} s.",
            seconds,
        )
