"""Runs coroutines (`async def run`) beside everything else in a worker's event loop."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import gevent


class AsyncioBridge:
    """An asyncio loop in a greenlet of its own, started by the first coroutine.

    gevent has replaced the selectors and locks that asyncio waits with, so that greenlets wait, not the worker.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
        """Run the coroutine to its end; returns or raises what it does. Cancels it when this greenlet is stopped."""
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
            gevent.spawn(self._turn, self._loop)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # does nothing to one that is done

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turn the loop for ever. What asyncio lets pass ends its coroutine, whose result it is, and not the others."""
        while True:
            with suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
