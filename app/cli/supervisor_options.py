"""What our supervisord does differently with the processes that it starts."""

import contextlib
import os
import signal
import sys

from supervisor.options import ServerOptions  # type: ignore[import-untyped]
from supervisor.states import SupervisorStates  # type: ignore[import-untyped]

from ..health import orphans

MISCONFIGURED = 3  # Gunicorn's code for "worker failed to boot", and Azure ML's for a script that cannot be loaded
POLL_S = 0.1  # between two looks at signals and at programs that have ended
# What each program gets from the kernel when supervisord is killed.
ON_OUR_DEATH = {"triton": signal.SIGKILL, "gunicorn": signal.SIGTERM}


class Options(ServerOptions):  # type: ignore[misc]
    """supervisord's options and process calls; `exit_code` is the service's."""

    exit_code = 0
    mood: int

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()
        # Once a second would do for programs that crash, but not for one whose stop somebody waits for.
        patiently = self.poller.poll
        self.poller.poll = lambda timeout: patiently(min(timeout, POLL_S))

    def fork(self) -> int:
        """Fork; until it has become another program, signals do to the child what they do to that one.

        Otherwise they would end up in its copies of our handlers: whoever was told to stop in that moment would not.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid: int = super().fork()
            if not pid:
                for number in signal.valid_signals():
                    if callable(signal.getsignal(number)):
                        signal.signal(number, signal.SIG_DFL)
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def execve(self, filename: str, argv: list[str], env: dict[str, str]) -> None:
        """Become a program, which does not outlive supervisord."""
        orphans.die_with(self._pid, ON_OUR_DEATH[env["SUPERVISOR_PROCESS_NAME"]])
        super().execve(filename, argv, env)

    def waitpid(self) -> tuple[int | None, int | None]:
        """Reap a child; the exit code says here whether to go on, since supervisord forgets it when a start fails.

        What a program leaves behind goes with it: the stubs of a Triton that was killed mostly end by themselves, but
        under load some wait for ever.
        """
        pid, status = super().waitpid()
        if pid in self.pidhistory:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            if os.waitstatus_to_exitcode(status) == MISCONFIGURED:
                self.end(MISCONFIGURED)
        return pid, status

    def end(self, exit_code: int, reason: str = "") -> None:
        """Stop all programs, the last started first, then end with this code; the first call counts."""
        if self.mood == SupervisorStates.RUNNING:
            if reason:
                print(reason, file=sys.stderr, flush=True)  # noqa: T201
            self.exit_code = exit_code
            self.mood = SupervisorStates.SHUTDOWN

    def get_signal(self) -> int | None:
        """Tell the next signal. A closed terminal ends the service; plain supervisord would start it anew."""
        number: int | None = super().get_signal()
        return signal.SIGTERM if number == signal.SIGHUP else number
