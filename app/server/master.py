"""Gunicorn's master, which gives a worker up only for one that can score.

Gunicorn's own stops the old workers of a reload before the new ones have run init(), ends the service when a new one
cannot load the script, and replaces without a pause one that dies while it starts.
"""

import atexit
import logging
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, NoReturn

from gunicorn import arbiter
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import HaltServer

from ..health.lifecycle import Lifecycle
from ..triton import suspects  # noqa: F401 - makes what all workers are to have, before there is one
from ..web.auth import KeyRing

LOG = logging.getLogger("scoregate")
LONGEST_PAUSE_S = 30.0
TELL_AGAIN_S = 1.0


class Master(arbiter.Arbiter):
    """The master of the workers.

    Workers that were started for the same script are a generation. One serves, and in a reload one is being made; the
    workers of any other finish their requests.
    """

    WORKERS: ClassVar[dict[int, Any]]  # pid: Worker, whose module may only be imported in a worker
    keys: KeyRing

    def __init__(self, app: WSGIApplication) -> None:
        self._lifecycle = Lifecycle()
        self._lifecycle.begin()
        super().__init__(app)
        self._serves = 0  # the number of the generation that does; 0 until there is one
        self._being_made: int | None = 1
        self._made_last = 1
        self._is_wanted = False  # another generation, once this one is made
        self._pause_s = 0.0  # before a worker is started in place of one that died while it started
        self._paused_until = 0.0
        self._told_to_stop_at = 0.0

    def start(self) -> None:
        """Listen, before there is a worker."""
        from ..telemetry.metrics import Metrics  # only now has gunicorn.conf.py said where the metrics' files are

        self._metrics = Metrics()
        super().start()

    def reload(self) -> None:
        """Start workers that load the entry script as it is now; the others stop once all of these can score.

        While such workers are being made already, the wish waits. Wishes that come meanwhile are one, for the newest
        script.
        """
        if self.cfg.preload_app:
            LOG.warning("WORKER_PRELOAD is on: only a new start loads another entry script. Nothing was changed.")
            return
        self._is_wanted = True
        self.manage_workers()  # those that are being made may be complete
        if not self._is_wanted:
            return
        if self._being_made:
            LOG.info("Workers are being started; the entry script is loaded anew after that.")
        else:
            self._begin_generation()

    def _begin_generation(self) -> None:
        LOG.info("Loading the entry script anew; the workers go on until the new ones can score.")
        self._is_wanted = False
        self._lifecycle.forget_fault()
        self._made_last += 1
        self._being_made = self._made_last
        self._pause_s = self._paused_until = 0.0

    def _end_generation(self) -> None:
        """Note that a generation is complete, or was given up; begin the next one, if it is wanted."""
        self._being_made = None
        if self._is_wanted:
            self._begin_generation()

    def manage_workers(self) -> None:
        """Start the workers that are missing; stop those that have others in their place."""
        self.keys.look()
        self._metrics.put_back()
        ready = self._lifecycle.ready_workers()
        workers = sorted(self.WORKERS.values(), key=lambda each: (each.pid in ready, each.age))
        wanted = [each for each in workers if each.generation == (self._being_made or self._serves)]
        if monotonic() >= self._paused_until:
            for _ in range(self.num_workers - len(wanted)):
                self.spawn_worker()
        for surplus in wanted[: -self.num_workers]:  # the first are those that cannot score, then the oldest
            self.kill_worker(surplus.pid, signal.SIGTERM)
        if self._being_made and sum(each.pid in ready for each in wanted) >= self.num_workers:
            if self._serves:
                LOG.info("The new workers can score; the old ones finish their requests and stop.")
            self._serves = self._being_made
            self._end_generation()
        for old in (each for each in workers if each.generation not in (self._serves, self._being_made)):
            self.kill_worker(old.pid, signal.SIGTERM)

    def spawn_worker(self) -> Any:  # noqa: ANN401 - the pid
        """Start a worker. What keeps it from being started, such as a full disk, is tried again after a pause."""
        try:
            Path(tempfile.gettempdir()).mkdir(mode=0o700, exist_ok=True)  # somebody may have removed it
            pid = super().spawn_worker()
        except OSError as error:
            LOG.error("A worker cannot be started: %s", error)
            self._pause()
            return None
        except SystemExit as end:  # this is the worker
            leave(end)
        self.WORKERS[pid].generation = self._being_made or self._serves
        return pid

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a worker a signal; one that somebody has stopped wakes up, or it could not end."""
        super().kill_worker(pid, sig)
        if sig == signal.SIGTERM:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop(self, graceful: bool = True) -> None:
        """Stop all workers."""
        self._lifecycle.stop()
        super().stop(graceful)

    def reap_workers(self) -> None:
        """Take note of workers that ended. One that cannot be started ends the service if no other worker scores."""
        before = dict(self.WORKERS)
        halt = None
        while True:
            try:
                super().reap_workers()
                break
            except HaltServer as error:
                halt = error
        ready = self._lifecycle.ready_workers()
        gone = before.keys() - self.WORKERS.keys()
        for pid in gone:
            self._lifecycle.worker_gone(pid)
            self._metrics.worker_gone(pid)
            before[pid].count.end()
        if not self.LISTENERS:  # the service is stopping
            self._tell_again_to_stop()
            return
        self._metrics.worker_restarts.inc(
            sum(before[pid].generation in (self._serves, self._being_made) for pid in gone)
        )
        if halt:
            self._cannot_start(halt, {before[pid].generation for pid in gone - ready}, ready - gone)
        if gone - ready:
            self._pause()
        elif gone:
            self._pause_s = 0.0

    def _pause(self) -> None:
        self._pause_s = min(self._pause_s * 2 or 1.0, LONGEST_PAUSE_S)
        self._paused_until = monotonic() + self._pause_s

    def _tell_again_to_stop(self) -> None:
        """Repeat SIGTERM: a worker that was just starting has lost the first one in a handler that was the master's.

        One that shows no sign of life is killed, as at any other time.
        """
        if monotonic() - self._told_to_stop_at >= TELL_AGAIN_S:
            self._told_to_stop_at = monotonic()
            for pid in list(self.WORKERS):
                self.kill_worker(pid, signal.SIGTERM)
            self.murder_workers()

    def _cannot_start(self, halt: HaltServer, failed: set[int], ready: set[int]) -> None:
        """Go on with the workers that can score, if there are any; those of a reload are given up.

        failed: the generations of those that could not.
        """
        if not ready:
            raise halt
        if self._being_made in failed and any(self.WORKERS[pid].generation == self._serves for pid in ready):
            LOG.error("The entry script as it is now cannot serve; the workers go on with the one that they have.")
            self._end_generation()


def leave(end: SystemExit) -> NoReturn:
    """End this process as Python does, except that nothing is taken apart.

    While Python takes modules apart, gevent's locks fail; each such failure was a traceback in the log.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr, flush=True)  # noqa: T201
    os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


class Application(WSGIApplication):
    """Gunicorn's command, with our Master."""

    def run(self) -> None:
        """Serve until told to stop."""
        Master(self).run()


if __name__ == "__main__":
    try:
        Application("%(prog)s [OPTIONS]", prog="gunicorn").run()
    except SystemExit as end:
        leave(end)
