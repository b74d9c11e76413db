"""supervisord, started with checked settings, and ended with the exit code of the program that ended it.

Plain supervisord goes on when a program gives up, and always ends with 0. Here a program that exits with MISCONFIGURED
(starting it again cannot help), that supervisord has given up on (FATAL), or that ends again and again before the
service was ready, ends the service, with a non-zero code.
"""

# ruff: noqa: E402
import signal

TOLD_TO_STOP = (signal.SIGTERM, signal.SIGINT)
if __name__ == "__main__":  # before what takes time: they are not lost, but come once there are handlers
    signal.pthread_sigmask(signal.SIG_BLOCK, TOLD_TO_STOP)

import contextlib
import errno
import io
import os
import resource
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from supervisor import events  # type: ignore[import-untyped]
from supervisor.medusa import asyncore_25  # type: ignore[import-untyped]
from supervisor.states import ProcessStates, SupervisorStates  # type: ignore[import-untyped]
from supervisor.supervisord import Supervisor  # type: ignore[import-untyped]

from ..health import lifecycle, orphans
from ..health.lifecycle import Lifecycle, State
from ..settings import SettingError, Settings
from ..web import auth
from . import log_stream, status
from .runtime_directory import RuntimeDirectory
from .supervisor_options import MISCONFIGURED, POLL_S, Options
from .terminal import terminal

STARTS = 4  # of a program, until the service is ready; as many as supervisord makes of one that ends within a second
TELL_AGAIN_S = 1.0  # between two times that a program is told to stop
PORTS_S = 3.0  # for those of a service that was killed to be free
FILES = 1024  # that supervisord wants to be able to open


class Service(Supervisor):  # type: ignore[misc]
    """The supervisor of triton and gunicorn."""

    def __init__(
        self, options: Options, lifecycle: Lifecycle, directory: RuntimeDirectory, log: io.RawIOBase, drain_seconds: int
    ) -> None:
        super().__init__(options)
        self._lifecycle = lifecycle
        self._directory = directory
        self._log = log
        self._drain_seconds = drain_seconds
        self._drained_at: float | None = None  # when the programs are to be stopped
        self._kept_at = 0.0  # when the directory was looked at the last time
        self._told_at = 0.0  # when Gunicorn was told to stop the last time
        self._starts_in_vain = 0

    def runforever(self) -> None:
        """Run until all programs have stopped."""
        events.subscribe(events.ProcessStateFatalEvent, self.gave_up)
        events.subscribe(events.ProcessStateExitedEvent, self.count_starts)
        events.subscribe(events.ProcessLogStdoutEvent, lambda event: self._log.write(event.data))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD_TO_STOP)  # now there are handlers
        if self.options.get_signal() in TOLD_TO_STOP:  # before anything was started
            self.options.end(0)
        super().runforever()

    def handle_signal(self) -> None:
        """Drain at the first SIGTERM, stop at a second one and at SIGINT, which is a person's; stop at once at a third.

        To drain is to say "not ready", and go on until load balancers have noticed.
        """
        number = self.options.get_signal()
        if number in TOLD_TO_STOP:
            self._told_to_stop(wait=number == signal.SIGTERM)
        elif number == signal.SIGUSR2:
            self.options.reopenlogs()
        if self._drained_at is not None and monotonic() >= self._drained_at:
            self.options.end(0)
        programs = [each for group in self.process_groups.values() for each in group.processes.values()]
        if monotonic() >= self._kept_at + POLL_S:
            self._kept_at = monotonic()
            if self._directory.keep({each.config.name: each.pid for each in programs}):
                self._lay_out()
        for each in programs:
            if each.state == ProcessStates.STOPPING and each.pid:
                self._hurry(each)

    def _lay_out(self) -> None:
        """Have the launcher of a Triton that runs make anew what it had put into the directory."""
        triton = self.process_groups["triton"].processes["triton"]
        if triton.pid:
            with contextlib.suppress(OSError):
                subprocess.Popen([*shlex.split(triton.config.command), "--only-lay-out"])  # noqa: S603

    def _hurry(self, program: Any) -> None:  # noqa: ANN401 - supervisor's Subprocess
        """Wake a program that somebody has stopped, or it could not stop itself; repeat to Gunicorn that it is to.

        A script that Gunicorn's master imports (WORKER_PRELOAD) can have had a handler of its own the first time.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(program.pid, signal.SIGCONT)
            if program.config.name == "gunicorn" and monotonic() >= self._told_at + TELL_AGAIN_S:
                self._told_at = monotonic()
                os.kill(program.pid, signal.SIGTERM)

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


def wait_for_ports(settings: Settings) -> None:
    """Wait a moment for the ports of a service that was killed: of a process that dies, the kernel frees them last."""
    end = monotonic() + PORTS_S
    while monotonic() < end:
        with contextlib.suppress(SettingError):
            return refuse_taken_ports(settings)
        sleep(POLL_S)
    return None


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
                owner = orphans.listener(port) or "the program that has it"
                raise SettingError(
                    f"{name}={port}: cannot listen on it ({error.strerror}). "
                    f"Stop {owner}, or choose another port, for example {name}={port + 10}."
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


def require_files() -> None:
    """Raise SettingError if the limit of open files is too low."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FILES:
        raise SettingError(
            f"Only {most} files may be open at once, and the service needs {FILES} at least. "
            f"Allow more, for example: ulimit -n 65536, or docker run --ulimit nofile=65536."
        )


def serve(settings: Settings, log: io.RawIOBase, arguments: Sequence[str]) -> int:
    """Run the service until it is told to stop or cannot go on; return the exit code. Raises SettingError."""
    service = Lifecycle.create(settings.worker_count)
    directory = RuntimeDirectory(Path(tempfile.gettempdir()) / settings.instance, service.path)
    was_left = directory.take()
    try:
        if orphaned := orphans.end_orphans(settings.instance, directory.path):
            print(f"Ended what a service that was killed had left: {orphaned}", flush=True)  # noqa: T201
        if was_left:
            wait_for_ports(settings)
        refuse_taken_ports(settings)
        os.environ |= environment(settings, directory.path) | {lifecycle.VARIABLE: str(service.path)}
        options = Options()
        options.first = True
        options.test = False
        # Without a user, supervisord run by root warns at each start; in a container root may be all there is.
        options.realize([*arguments, *(["--user=root"] if os.getuid() == 0 else [])])
        with terminal(), contextlib.suppress(asyncore_25.ExitNow):
            Service(options, service, directory, log, settings.drain_s).main()
        options.close_logger()
    finally:
        directory.remove()
        for region in Path("/dev/shm").glob(f"{settings.instance}-*"):  # noqa: S108 - of stubs that were killed
            region.unlink(missing_ok=True)
    return options.exit_code


def main(arguments: Sequence[str]) -> int:
    """Run the service, or print its state (`status`). Otherwise the arguments are supervisord's."""
    log = log_stream.take_over()
    try:
        settings = Settings.from_environ(os.environ)
        if arguments == ["status"]:
            return status.show(settings)
        auth.check_file(settings)
        require_files()
        return serve(settings, log, arguments)
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return MISCONFIGURED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
