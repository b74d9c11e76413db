"""asyncio's event loops in a script: each turns in a thread of its own.

asyncio knows one running loop for each thread. With gevent all requests of a worker, and what the script calls its
threads, run in one: two that call asyncio.run() at the same time would find each other's loop. So each loop that the
script turns there turns in a thread of the operating system, while the caller waits. That thread has an event loop of
gevent's, too: what blocks in the executor of the loop is a greenlet that waits.
"""

import asyncio
import ctypes
import selectors
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from select import POLLIN, POLLOUT
from time import monotonic
from types import FrameType
from typing import Any
from weakref import WeakSet

import gevent
from gevent.lock import Semaphore
from gevent.monkey import get_original
from gevent.select import poll
from gevent.threadpool import ThreadPool
from greenlet import greenlet

from . import forks
from .alarm import AGAIN_S
from .deadline import Expired, current
from .interruption import Stacks, may_be_woken

GIVE_UP_S = 5.0  # for a coroutine to end whose request has ended

_thread_id = get_original("_thread", "get_ident")
_main_thread_id = _thread_id()
_running_loop = asyncio.events._get_running_loop
_idle_threads: list[ThreadPool] = []  # each of one thread
_loops: WeakSet["ScriptLoop"] = WeakSet()


class _Selector(selectors._BaseSelectorImpl):
    """A selector that waits in whatever thread asks it to; gevent's own belongs to the one that made it."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until one is ready."""
        waits = poll()
        keys = {key.fd: key for key in self.get_map().values()}
        for fd, key in keys.items():
            reads, writes = key.events & selectors.EVENT_READ, key.events & selectors.EVENT_WRITE
            waits.register(fd, (POLLIN if reads else 0) | (POLLOUT if writes else 0))
        ready = []
        for fd, happened in waits.poll(None if timeout is None else max(timeout, 0) * 1000):
            reads = selectors.EVENT_READ if happened & ~POLLOUT else 0
            writes = selectors.EVENT_WRITE if happened & ~POLLIN else 0
            ready.append((keys[fd], (reads | writes) & keys[fd].events))
        return ready


class ScriptLoop(asyncio.SelectorEventLoop):
    """An event loop of the script's."""

    stacks: Stacks

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector or _Selector())
        self._one_at_a_time = Semaphore()
        self._thread: ThreadPool | None = None
        self._turns_in: tuple[int, greenlet, gevent.hub.Hub] | None = None
        _loops.add(self)

    def run_until_complete(self, future: Any) -> Any:  # noqa: ANN401 - typeshed's is generic
        """Turn until the future is done. Requests that share a loop take turns."""
        if self._thread_id == threading.get_ident():  # type: ignore[attr-defined]
            return super().run_until_complete(future)  # which says what is wrong
        with self._one_at_a_time:
            return super().run_until_complete(future)

    def run_forever(self) -> None:
        """Turn until stopped, in the loop's own thread."""
        if _thread_id() != _main_thread_id:
            super().run_forever()
            return
        self._check_closed()  # type: ignore[attr-defined]
        self._check_running()  # type: ignore[attr-defined]
        if self._thread is None:
            self._thread = _idle_threads.pop() if _idle_threads else ThreadPool(1)
        turning = self._thread.spawn(self._turn, super().run_forever)
        try:
            error = turning.get()
        except BaseException:  # the request's end
            self._end(turning)
            raise
        if error:
            raise error

    def close(self) -> None:
        """Close the loop; its thread is the next one's."""
        super().close()
        if self._thread is not None:
            _idle_threads.append(self._thread)
            self._thread = None

    def _turn(self, run: Callable[[], None]) -> BaseException | None:
        self._turns_in = _thread_id(), gevent.getcurrent(), gevent.get_hub()
        try:
            run()
        except BaseException as error:
            return error
        return None

    def _end(self, turning: Any) -> None:  # noqa: ANN401 - gevent's AsyncResult, of a thread
        """Stop the loop, and interrupt what it is at, in its thread: a coroutine that computes, or blocks it."""
        if not turning.ready():
            self.call_soon_threadsafe(self.stop)
        began = monotonic()
        while not turning.wait(AGAIN_S) and not turning.ready() and (late_s := monotonic() - began) < GIVE_UP_S:
            if self._turns_in is None:
                continue
            thread_id, waiting, hub = self._turns_in
            frame = sys._current_frames().get(thread_id)
            if frame and _is_in_coroutine(frame) and self.stacks.may_interrupt(frame, late_s):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(Expired))
            else:
                hub.loop.run_callback_threadsafe(_wake, waiting)


class Policy(asyncio.DefaultEventLoopPolicy):
    """Gives scripts loops of ours. What is the main thread elsewhere is here each request, and init()."""

    _loop_factory = ScriptLoop

    def __init__(self) -> None:
        super().__init__()
        self._local = _Local()
        self._of_init: asyncio.AbstractEventLoop | None = None
        self._of_request: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("loop")

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        """Get the loop that was set, or else make one, which init() and requests share."""
        if _is_in_script_thread():
            return super().get_event_loop()
        if self._of_init is None:
            self._of_init = self.new_event_loop()
        if loop := self._of_request.get(self._of_init):
            return loop
        raise RuntimeError("There is no current event loop.")

    def set_event_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Set the loop, of one request if this is part of one."""
        if _is_in_script_thread():
            super().set_event_loop(loop)
        elif current.get():
            self._of_request.set(loop)
        else:
            self._of_init = loop


class _Local(threading.local):  # made anew: that of asyncio may be older than gevent's
    _loop = None
    _set_called = False


def install(stacks: Stacks) -> None:
    """Let asyncio make loops of ours."""
    ScriptLoop.stacks = stacks
    asyncio.set_event_loop_policy(Policy())
    asyncio.events._get_running_loop = _own_running_loop


def _let_go() -> None:
    """Forget, in a forked process, the threads of the worker."""
    _idle_threads.clear()
    for each in _loops:
        each._thread = None
        each._one_at_a_time = Semaphore()


forks.in_child(_let_go)


def _own_running_loop() -> asyncio.AbstractEventLoop | None:
    """Tell which loop runs in this greenlet; asyncio would tell of the thread's."""
    loop = _running_loop()
    return loop if loop and loop._thread_id == threading.get_ident() else None  # type: ignore[attr-defined]


def _is_in_script_thread() -> bool:
    if _thread_id() != _main_thread_id:
        return True
    thread = threading.current_thread()
    return not isinstance(thread, threading._DummyThread) and thread is not threading.main_thread()


def _is_in_coroutine(frame: FrameType | None) -> bool:
    while frame and frame.f_code is not asyncio.Handle._run.__code__:
        frame = frame.f_back
    return frame is not None


def _wake(waiting: greenlet) -> None:
    if _is_in_coroutine(waiting.gr_frame) and may_be_woken(waiting):
        waiting.throw(Expired())
