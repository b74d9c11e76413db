"""Ends the requests of callers who have left, where that loses nothing."""

import select
from collections.abc import Mapping
from typing import Protocol

import gevent
from gevent.monkey import get_original
from gevent.socket import socket

from ..eventloop.deadline import ClientLeft, Deadlines

LOOK_S = 0.5  # between two looks at all connections, so that no request pays for it
# A script that computes, or waits for anything else, runs to its end, as on Azure ML. A body that breaks off is noticed
# by what receives it.
ENDED_WHILE = ("waiting for a place", "waiting for Triton")

_poll = get_original("select", "poll")


class Connection(Protocol):
    """The connection that a request came on."""

    client: socket
    is_gone: bool
    is_let_go: bool


class Departures:
    """Looks every 0.5 s which callers have closed their connections, or their half of it."""

    def __init__(self, deadlines: Deadlines, connections: Mapping[object, Connection]) -> None:
        """connections: by the greenlets that serve them."""
        self._deadlines = deadlines
        self._connections = connections
        self._timer = gevent.get_hub().loop.timer(LOOK_S, LOOK_S)

    def start(self) -> None:
        """Look again and again, from now on."""
        self._timer.start(self._look)

    def _look(self) -> None:
        poll = _poll()
        waiting = {}
        for deadline in self._deadlines.under_way():
            connection = self._connections.get(deadline.greenlet)
            # Where this worker has closed its own half, the kernel says the same as where the caller has closed theirs.
            if connection and not connection.is_let_go and deadline.doing in ENDED_WHILE:
                waiting[connection.client.fileno()] = deadline, connection
        for file in waiting:
            poll.register(file, select.POLLRDHUP)  # also where what the caller sent ahead is not read yet
        for file, _ in poll.poll(0):
            deadline, connection = waiting[file]
            if deadline.doing in ENDED_WHILE and deadline.may_be_woken():
                connection.is_gone = True
                deadline.wake(ClientLeft())
