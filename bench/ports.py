"""Ports for the servers under test."""

import contextlib
import itertools
import os
import socket

# Below those that the kernel gives to outgoing connections (from 32768 on: ip_local_port_range), which may take a port
# between this look and the server's start. Each process of pytest-xdist ("gw0", "gw1", ...) has a thousand of its own.
_FIRST = 10_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.cycle(range(_FIRST, _FIRST + 1_000))


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, and that no earlier call has found lately."""
    return [next(filter(_is_free, _ports)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("", port))
        return True
    return False
