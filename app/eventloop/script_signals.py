"""Signals as scripts see them: what a script sets stands beside the service's own handlers, not in their place.

A worker has one alarm and one handler of each signal, but serves many requests, and has to stop when it is told to. So
the functions of the module `signal` are replaced for scripts:

- SIGALRM, with alarm() and setitimer(): each request has its own. Its handler is called where the request computes; if
  it waits, beside it, and what the handler raises is thrown there. Both as late as a deadline would be, where a library
  is at work (interruption.py). It goes with the request. What init() sets is the handler of all requests.
- SIGTERM: the handler is called when the worker ends, and is given FAREWELL_S.
- SIGINT, SIGQUIT and SIGABRT: the handler is kept, and never called: they are Gunicorn's, which ends the worker.
"""

import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from types import FrameType
from typing import Any

import gevent
from gevent.monkey import get_original
from greenlet import greenlet

from . import forks
from .alarm import AGAIN_S, AlarmClock, Interruption
from .deadline import Deadline, current
from .interruption import may_be_woken

LOG = logging.getLogger("scoregate")
FAREWELL_S = 3
APART = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT)

_set_handler, _get_handler = signal.signal, signal.getsignal
_set_timer, _get_timer, _set_alarm = signal.setitimer, signal.getitimer, signal.alarm
_thread_id = get_original("_thread", "get_ident")
_start_thread = get_original("_thread", "start_new_thread")
_lock = get_original("_thread", "allocate_lock")
_main_thread_id = _thread_id()


class NoHandler(RuntimeError):
    """The alarm of a script went off, and it has no handler for it. Elsewhere that would have ended the process."""


class ScriptAlarm(Interruption):
    """The alarm of one request, or of init(). handler: as signal.signal() takes it; interval_s: 0 for once only."""

    __slots__ = ("_clock", "_deadline", "_greenlet", "_timer", "handler", "interval_s")

    def __init__(self, clock: AlarmClock, deadline: Deadline | None, handler: Any = signal.SIG_DFL) -> None:  # noqa: ANN401
        self._clock = clock
        self._deadline = deadline
        self._greenlet: greenlet | None = None
        self._timer: Any = None
        self.handler = handler
        self.interval_s = 0.0
        self.ends = math.inf

    def set(self, seconds: float, interval_s: float) -> None:
        """Go off after so many seconds, then in intervals; 0 for not at all."""
        self._greenlet = self._deadline.greenlet if self._deadline else gevent.getcurrent()
        self._start(seconds, interval_s)

    def _start(self, seconds: float, interval_s: float) -> None:
        self.cancel()
        if seconds > 0:
            self.interval_s = interval_s
            self.ends = monotonic() + seconds
            self._clock.add(self)
            self._timer = gevent.get_hub().loop.timer(seconds)
            self._timer.start(self._go_off_beside)

    def left_s(self) -> float:
        """Tell in how many seconds it will go off; 0 if it is not set."""
        return max(self.ends - monotonic(), 1e-6) if self._timer else 0.0

    def cancel(self) -> None:
        """Do not go off."""
        self._clock.discard(self)
        if self._timer:
            self._timer.close()
        self._timer = None
        self.interval_s = 0.0
        self.ends = math.inf

    def is_here(self) -> bool:
        """Tell whether the code that runs at this moment has set it."""
        return current.get() is self._deadline if self._deadline else gevent.getcurrent() is self._greenlet

    def is_shielded(self) -> bool:
        """Tell whether its request is in a part of this service that must not be interrupted."""
        return self._deadline is not None and self._deadline.is_shielded()

    def interrupt(self, frame: FrameType) -> None:
        """Go off where it has been set, in code that computes."""
        self._start(self.interval_s, self.interval_s)
        self._call_handler(frame)

    def _call_handler(self, frame: FrameType | None) -> None:
        if callable(self.handler):
            self.handler(signal.SIGALRM, frame)
        elif self.handler is not signal.SIG_IGN:
            raise NoHandler("The script's alarm went off, and it has no handler. Set one: signal.signal(SIGALRM, …).")

    def _go_off_beside(self) -> None:
        """Go off while the code that has set it waits."""
        waiting = self._greenlet
        self._start(self.interval_s, self.interval_s)
        if waiting and not waiting.dead:
            gevent.spawn(self._call_beside, waiting)
        else:  # init() has ended
            gevent.spawn(self._call_handler, None)

    def _call_beside(self, waiting: greenlet) -> None:
        try:
            (waiting.gr_context or Context()).copy().run(self._call_handler, waiting.gr_frame)
        except BaseException as error:
            timer = gevent.get_hub().loop.timer(0, AGAIN_S)
            timer.start(self._throw, timer, waiting, error)

    def _throw(self, timer: Any, waiting: greenlet, error: BaseException) -> None:  # noqa: ANN401
        if waiting.dead or (self._deadline and self._deadline.greenlet is not waiting):
            timer.close()  # the request has ended
        elif may_be_woken(waiting):
            timer.close()
            waiting.throw(error)


class ScriptSignals:
    """What stands in the module `signal`, with the same arguments and results."""

    def __init__(self, clock: AlarmClock) -> None:
        self._clock = clock
        self._of_init = ScriptAlarm(clock, None)
        self._kept: dict[int, Any] = {}
        forks.in_child(self._let_go)

    def signal(self, signalnum: int, handler: Any) -> Any:  # noqa: ANN401
        """Stand for signal.signal()."""
        if signalnum not in APART or _is_gunicorns(sys._getframe(1)) or _thread_id() != _main_thread_id:
            return _set_handler(signalnum, handler)
        if not callable(handler) and handler not in (signal.SIG_DFL, signal.SIG_IGN):
            raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
        before = self.getsignal(signalnum)
        if signalnum == signal.SIGALRM:
            self._alarm().handler = handler
        else:
            self._kept[signalnum] = handler
        return before

    def getsignal(self, signalnum: int) -> Any:  # noqa: ANN401
        """Stand for signal.getsignal()."""
        if signalnum not in APART or _is_gunicorns(sys._getframe(1)):
            return _get_handler(signalnum)
        return self._alarm().handler if signalnum == signal.SIGALRM else self._kept.get(signalnum, signal.SIG_DFL)

    def setitimer(self, which: int, seconds: float, interval: float = 0.0) -> tuple[float, float]:
        """Stand for signal.setitimer()."""
        if which != signal.ITIMER_REAL:
            return _set_timer(which, seconds, interval)
        if seconds < 0 or interval < 0:
            raise signal.ItimerError(22, "Invalid argument")
        if _thread_id() != _main_thread_id:
            raise ValueError("The alarm of a script works only in the thread that its requests run in.")
        before = self.getitimer(which)
        self._alarm().set(seconds, interval)
        return before

    def getitimer(self, which: int) -> tuple[float, float]:
        """Stand for signal.getitimer()."""
        if which != signal.ITIMER_REAL:
            return _get_timer(which)
        return self._alarm().left_s(), self._alarm().interval_s

    def alarm(self, seconds: int) -> int:
        """Stand for signal.alarm()."""
        return math.ceil(self.setitimer(signal.ITIMER_REAL, seconds)[0])

    def say_farewell(self) -> None:
        """Call the script's handler of SIGTERM, since the worker ends; end it if that takes too long."""
        if callable(handler := self._kept.get(signal.SIGTERM)):
            done = _lock()
            done.acquire()
            _start_thread(_end_unless, (done,))
            try:
                handler(signal.SIGTERM, sys._getframe())
            except SystemExit:
                pass
            except BaseException:
                LOG.exception("The script's handler of SIGTERM failed")
            done.release()

    def _let_go(self) -> None:
        """Leave the signals, in a forked process, to the script; it has inherited its handlers."""
        for number in (*APART, signal.SIGCHLD):
            _set_handler(number, self._kept.get(number, signal.SIG_DFL))
        _give_back()

    def _alarm(self) -> ScriptAlarm:
        deadline = current.get()
        if deadline is None:
            return self._of_init
        if deadline.alarm is None:
            deadline.alarm = ScriptAlarm(self._clock, deadline, self._of_init.handler)
        return deadline.alarm


def install(clock: AlarmClock) -> Callable[[], None]:
    """Put ours where scripts call them. Returns what is to be called when the worker ends."""
    ours = ScriptSignals(clock)
    for name in ("signal", "getsignal", "setitimer", "getitimer", "alarm"):
        setattr(signal, name, getattr(ours, name))
    return ours.say_farewell


def _give_back() -> None:
    signal.signal, signal.getsignal = _set_handler, _get_handler
    signal.setitimer, signal.getitimer, signal.alarm = _set_timer, _get_timer, _set_alarm


def _is_gunicorns(caller: FrameType) -> bool:
    return str(caller.f_globals.get("__name__")).startswith("gunicorn.")


def _end_unless(done: Any) -> None:  # noqa: ANN401 - a lock of the system's
    """End this process, in a thread that waits for nobody, if the lock is not released soon."""
    if not done.acquire(timeout=FAREWELL_S):
        os.write(1, b"The script's handler of SIGTERM took longer than %d s; the worker ends.\n" % FAREWELL_S)
        os._exit(0)
