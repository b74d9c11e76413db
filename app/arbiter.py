"""Gunicorn's master, which gives a worker up only for one that can score.

Gunicorn's own stops the old workers of a reload before the new ones have run init(), ends the service when a new one
cannot load the script, and replaces without a pause one that dies while it starts.
"""

import logging
import signal
from time import monotonic
from typing import Any, ClassVar

from gunicorn import arbiter
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import HaltServer

from .balance import Count
from .keys import KeyRing
from .lifecycle import Lifecycle

LOG = logging.getLogger("scoregate")
LONGEST_PAUSE_S = 30.0
TELL_AGAIN_S = 1.0


class Arbiter(arbiter.Arbiter):
    """The master of the workers."""

    WORKERS: ClassVar[dict[int, Any]]  # pid: Worker, whose module may only be imported in a worker
    keys: KeyRing

    def __init__(self, app: WSGIApplication) -> None:
        self._lifecycle = Lifecycle(app.cfg.workers)
        self._lifecycle.begin()
        super().__init__(app)
        self._oldest_wanted = 0  # the age of the oldest worker that is not to be replaced
        self._replacing = False
        self._pause_s = 0.0  # before a worker is started in place of one that died while it started
        self._paused_until = 0.0
        self._told_to_stop_at = 0.0

    def start(self) -> None:
        """Listen, before there is a worker."""
        from .metrics import Metrics  # only now has gunicorn.conf.py said where the metrics' files are

        self._metrics = Metrics()
        super().start()

    def reload(self) -> None:
        """Start workers that load the entry script as it is now; the others stop once all of these can score."""
        if self.cfg.preload_app:
            LOG.warning("WORKER_PRELOAD is on: only a new start loads another entry script. Nothing was changed.")
            return
        LOG.info("Loading the entry script anew; the workers go on until the new ones can score.")
        self._lifecycle.forget_fault()
        self._oldest_wanted = self.worker_age + 1
        self._replacing = True
        self._pause_s = self._paused_until = 0.0

    def manage_workers(self) -> None:
        """Start the workers that are missing; stop those that have others in their place."""
        self.keys.look()
        self._metrics.put_back()
        ready = self._lifecycle.ready_workers()
        workers = sorted(self.WORKERS.values(), key=lambda each: (each.pid in ready, each.age))
        wanted = [each for each in workers if each.age >= self._oldest_wanted]
        if monotonic() >= self._paused_until:
            for _ in range(self.num_workers - len(wanted)):
                self.spawn_worker()
        for surplus in wanted[: -self.num_workers]:  # the first are those that cannot score, then the oldest
            self.kill_worker(surplus.pid, signal.SIGTERM)
        if self._replacing and sum(each.pid in ready for each in wanted) >= self.num_workers:
            LOG.info("The new workers can score; the old ones finish their requests and stop.")
            self._replacing = False
        if not self._replacing:
            for old in (each for each in workers if each.age < self._oldest_wanted):
                self.kill_worker(old.pid, signal.SIGTERM)

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
            Count(before[pid].age).end()
        if not self.LISTENERS:  # the service is stopping
            self._tell_again_to_stop()
            return
        self._metrics.worker_restarts.inc(sum(before[pid].age >= self._oldest_wanted for pid in gone))
        if halt:
            self._cannot_start(halt, ready - gone)
        if gone - ready:
            self._pause_s = min(self._pause_s * 2 or 1.0, LONGEST_PAUSE_S)
            self._paused_until = monotonic() + self._pause_s
        elif gone:
            self._pause_s = 0.0

    def _tell_again_to_stop(self) -> None:
        """Repeat SIGTERM: a worker that was just starting has lost the first one in a handler that was the master's."""
        if monotonic() - self._told_to_stop_at >= TELL_AGAIN_S:
            self._told_to_stop_at = monotonic()
            for pid in list(self.WORKERS):
                self.kill_worker(pid, signal.SIGTERM)

    def _cannot_start(self, halt: HaltServer, ready: set[int]) -> None:
        """Go on with the workers that can score, if there are any."""
        if not ready:
            raise halt
        if self._replacing:
            LOG.error("The entry script as it is now cannot serve; the workers go on with the one that they have.")
            self._oldest_wanted = min(each.age for each in self.WORKERS.values() if each.pid in ready)
            self._replacing = False


class Application(WSGIApplication):
    """Gunicorn's command, with our Arbiter."""

    def run(self) -> None:
        """Serve until told to stop."""
        Arbiter(self).run()


if __name__ == "__main__":
    Application("%(prog)s [OPTIONS]", prog="gunicorn").run()
