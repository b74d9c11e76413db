"""supervisord, started with checked settings, and ended with the exit code of the program that ended it.

Plain supervisord goes on when a program gives up, and always ends with 0. Here a program that exits with MISCONFIGURED
(starting it again cannot help), that supervisord has given up on (FATAL), or that ends again and again before the
service was ready, ends the service, with a non-zero code.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

from supervisor import events  # type: ignore[import-untyped]
from supervisor.medusa import asyncore_25  # type: ignore[import-untyped]
from supervisor.options import ServerOptions  # type: ignore[import-untyped]
from supervisor.states import SupervisorStates  # type: ignore[import-untyped]
from supervisor.supervisord import Supervisor  # type: ignore[import-untyped]

from . import keys
from .lifecycle import Lifecycle, State
from .settings import SettingError, Settings

MISCONFIGURED = 3  # Gunicorn's code for "worker failed to boot", and Azure ML's for a script that cannot be loaded
STARTS = 4  # of a program, until the service is ready; as many as supervisord makes of one that ends within a second
POLL_S = 0.1  # between two looks at signals and at programs that have ended


class Options(ServerOptions):  # type: ignore[misc]
    """supervisord's options and process calls; `exit_code` is the service's."""

    exit_code = 0
    mood: int

    def __init__(self) -> None:
        super().__init__()
        # Once a second would do for programs that crash, but not for one whose stop somebody waits for.
        patiently = self.poller.poll
        self.poller.poll = lambda timeout: patiently(min(timeout, POLL_S))

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


class Service(Supervisor):  # type: ignore[misc]
    """The supervisor of triton and gunicorn."""

    def __init__(self, options: Options, lifecycle: Lifecycle, drain_seconds: int) -> None:
        super().__init__(options)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._drained_at: float | None = None  # when the programs are to be stopped
        self._starts_in_vain = 0

    def runforever(self) -> None:
        """Run until all programs have stopped."""
        events.subscribe(events.ProcessStateFatalEvent, self.gave_up)
        events.subscribe(events.ProcessStateExitedEvent, self.count_starts)
        super().runforever()

    def handle_signal(self) -> None:
        """Drain at the first SIGTERM, stop at a second one and at SIGINT, which is a person's; stop at once at a third.

        To drain is to say "not ready", and go on until load balancers have noticed.
        """
        number = self.options.get_signal()
        if number in (signal.SIGTERM, signal.SIGINT):
            self._told_to_stop(wait=number == signal.SIGTERM)
        elif number == signal.SIGUSR2:
            self.options.reopenlogs()
        if self._drained_at is not None and monotonic() >= self._drained_at:
            self.options.end(0)

    def _told_to_stop(self, wait: bool) -> None:
        if self.options.mood < SupervisorStates.RUNNING:
            self.process_groups["gunicorn"].processes["gunicorn"].signal(signal.SIGQUIT)
            return
        if self._drained_at is None:
            self._lifecycle.drain()
            if wait and self._drain_seconds:
                print(f"Draining for {self._drain_seconds} s", flush=True)  # noqa: T201
                self._drained_at = monotonic() + self._drain_seconds
                return
        self._drained_at = monotonic()

    def gave_up(self, event: events.ProcessStateFatalEvent) -> None:
        """End the service: something outside (Docker, Kubernetes) decides better than we whether to try once more."""
        program, reason = event.process.config.name, event.process.spawnerr
        self.options.end(1, f"{program} does not stay up: {reason}. The service ends.")

    def count_starts(self, event: events.ProcessStateExitedEvent) -> None:
        """End the service if it does not get ready since a program ends first, perhaps a Triton that loads models."""
        self._starts_in_vain = self._starts_in_vain + 1 if self._lifecycle.state is State.STARTING else 0
        if self._starts_in_vain >= STARTS:
            self.options.end(
                1, f"{event.process.config.name} does not stay up: it ended {STARTS} times. The service ends."
            )


def refuse_taken_ports(settings: Settings) -> None:
    """Raise SettingError naming the first port that another program listens on."""
    ports = [("PORT", settings.host, settings.port)]
    if settings.separate_health_endpoint:
        ports.append(("HEALTH_PORT", settings.host, settings.health_port))
    if settings.triton:
        ports += [
            ("TRITON_HTTP_PORT", "127.0.0.1", settings.triton_http_port),
            ("TRITON_METRICS_PORT", "127.0.0.1", settings.triton_metrics_port),
        ]
    with contextlib.ExitStack() as stack:  # all held until the end, so that two equal ports are found, too
        for name, host, port in ports:
            try:
                probe = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                if host == settings.host and error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise SettingError(
                        f"HOST={host!r}: cannot listen on it ({error.strerror}). "
                        "Give an address of this machine, or leave it out for all of its IPv4 addresses."
                    ) from None
                raise SettingError(
                    f"{name}={port}: cannot listen on it ({error.strerror}). "
                    f"Stop the program that has it, or choose another port, for example {name}={port + 10}."
                ) from None


def environment(settings: Settings, directory: Path) -> dict[str, str]:
    """Say in variables what supervisord.conf and its programs need beyond what the user set."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # `python3` and `gunicorn` are this Python's
        "PYTHONUNBUFFERED": "1",  # what a script prints reaches the log at once
        "TMPDIR": str(directory),
        # Scripts read Azure ML's names, whichever of ours, or which default, has set them.
        "AZUREML_MODEL_DIR": str(settings.model_dir),
        "AML_APP_ROOT": str(settings.app_root),
        "AZUREML_ENTRY_SCRIPT": settings.script,
        "ALLOW_NO_MODELS": "on" if settings.allow_no_models else "off",
        "TRITON": "on" if settings.triton else "off",
        "TRITON_HTTP_PORT": str(settings.triton_http_port),
        "TRITON_METRICS_PORT": str(settings.triton_metrics_port),
        "TRITON_DEFAULT_MAX_BATCH_SIZE": str(settings.triton_default_max_batch_size),
        "TRITON_EXTRA_ARGS": settings.triton_extra_args,
        "MODEL_REPOSITORY": str(settings.model_repository),
        "INSTANCE": settings.instance,
        "STOP_SECONDS": str(settings.stop_s + 5),
    }


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Take the terminal, if there is one, for the time of the service.

    Ctrl-C signals the terminal's foreground process group. `make` in that group would end as "Interrupted" with a
    failure code however well the service stopped; with a group of its own the service alone gets the signal.
    """
    try:
        owner = os.tcgetpgrp(0)
    except OSError:  # not a terminal
        owner = None
    if owner != os.getpgrp():
        yield
        return
    # Ctrl-Z would stop us but not `make`, and the shell would wait for ever; changing the group from the background
    # (on the way back) would stop us, too.
    for number in (signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(0, owner)


def main(arguments: Sequence[str]) -> int:
    """Run the service. arguments: those of supervisord. Returns the exit code."""
    try:
        settings = Settings.from_environ(os.environ)
        keys.check_file(settings)
        refuse_taken_ports(settings)
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return MISCONFIGURED
    # Both supervisord and its programs' logs write to stdout; were it a file, one would overwrite the other.
    fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_APPEND)
    directory = Path(tempfile.gettempdir()) / settings.instance
    shutil.rmtree(directory, ignore_errors=True)  # of a predecessor that was killed
    directory.mkdir(mode=0o700)
    os.environ |= environment(settings, directory)
    options = Options()
    options.first = True
    options.test = False
    # Without a user, supervisord run by root warns at each start; in a container root may be all there is.
    options.realize([*arguments, *(["--user=root"] if os.getuid() == 0 else [])])
    try:
        with terminal(), contextlib.suppress(asyncore_25.ExitNow):
            Service(options, Lifecycle(settings.worker_count, directory), settings.drain_s).main()
    finally:
        options.close_logger()
        shutil.rmtree(directory, ignore_errors=True)
        for region in Path("/dev/shm").glob(f"{settings.instance}-*"):  # noqa: S108 - of stubs that were killed
            region.unlink(missing_ok=True)
    return options.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
