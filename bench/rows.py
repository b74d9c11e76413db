"""A row of the table: a peer with so many workers, started, checked, and measured in one cell at a time."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from . import wrk
from .cases import Case
from .meter import Reading
from .peer import Launch, Peer
from .ports import free_ports
from .samples import Sample
from .servers import DoesNotStart, Server, post, shared_triton, triton_readiness
from .venvs import SERVICE_PYTHON, CannotInstall, python_with

WARM_UP_S = 1
TOLERANCE = 1e-4


class NotRun(Exception):
    """A row cannot be measured; the text says why."""


@dataclass(frozen=True)
class Row:
    """A peer's server, and the shared Triton if it asks that."""

    name: str
    peer: Peer
    launch: Launch
    servers: tuple[Server, ...]

    def wait_and_check(self) -> bytes:
        """Give the answer, once it is 200. Raises DoesNotStart, or NotRun if it is not the model's."""
        case, dialect = self.launch.case, self.peer.dialect
        request = dialect.ask(case)
        response = self.servers[-1].wait_for_200(lambda: post(self.launch.port, request))
        if self.peer.answers and case.content is not None:
            answer = dialect.read(case, response)
            if not np.allclose(answer, case.probabilities, atol=TOLERANCE):
                raise NotRun(f"wrong answer: {answer}, not {case.probabilities}")
        return response.content

    def sample(self, connections: int, seconds: int, number: int) -> Sample:
        """Warm up, then measure for so many seconds; number: the round's."""
        with self._awake():
            return self._sample(connections, seconds, number)

    def rest(self) -> None:
        """Take the processor from a server that would use it while nobody asks."""
        if self.peer.polls:
            self.servers[-1].suspend()

    @contextlib.contextmanager
    def _awake(self) -> Iterator[None]:
        self.servers[-1].resume()
        try:
            yield
        finally:
            self.rest()

    def _sample(self, connections: int, seconds: int, number: int) -> Sample:
        request = self.peer.dialect.ask(self.launch.case)
        wrk.run(self.launch.port, request, connections, WARM_UP_S)
        before = self._reading()
        load = wrk.run(self.launch.port, request, connections, seconds)
        after = self._reading()
        answered = max(load.requests, 1)
        return Sample(
            case=self.launch.case.name,
            connections=connections,
            row=self.name,
            round=number,
            requests_per_s=load.requests_per_s,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            errors=load.errors,
            front_cpu_ms=(after.front_cpu_s - before.front_cpu_s) * 1000 / answered,
            triton_cpu_ms=(after.triton_cpu_s - before.triton_cpu_s) * 1000 / answered,
            pss_mib=after.pss_mib,
            mean_batch=(after.inferences - before.inferences) / max(after.executions - before.executions, 1),
        )

    def _reading(self) -> Reading:
        metrics_port = None if self.peer.triton == "none" else self.launch.metrics_port
        return Reading.of(self.servers, self.launch.case.model, metrics_port)


def row_name(peer: Peer, workers: int) -> str:
    """Name the row; the workers are said where there could be more."""
    return f"{peer.name} ×{workers}" if peer.workers != (1,) else peer.name  # noqa: RUF001


@contextlib.contextmanager
def rows_up(peers: Sequence[Peer], case: Case, not_run: dict[str, str]) -> Iterator[list[Row]]:
    """Start every row that is not in not_run, all at once, and have them up; not_run gets the reason of each other."""
    with contextlib.ExitStack() as stack:
        ports = free_ports(2)
        shared = []
        if any(peer.triton == "shared" for peer in peers):
            shared.append(stack.enter_context(shared_triton(case.model_directory, *ports)))
        started = []
        for peer, workers in [(each, workers) for each in peers for workers in each.workers]:
            name = row_name(peer, workers)
            if name in not_run:
                continue
            try:
                launch = prepare(peer, workers, case, ports)
                servers = list(shared) if peer.triton == "shared" else []
                if peer.command:
                    servers.append(stack.enter_context(start(peer, launch)))
                started.append(Row(name, peer, launch, tuple(servers)))
            except (NotRun, CannotInstall) as error:
                not_run[name] = str(error)
        for server in shared:
            server.wait_for_200(lambda: triton_readiness(ports[0]))
        rows = []
        answers = set()
        for row in started:
            try:
                answer = row.wait_and_check()
                if case.content is None and row.peer.answers:  # a user's own: nothing else to check it against
                    answers.add(answer)
                    if len(answers) > 1:
                        raise NotRun(f"wrong answer, not that of the rows before: {answer[:200]!r}")
                rows.append(row)
                row.rest()
            except (NotRun, DoesNotStart) as error:
                not_run[row.name] = str(error)
        try:
            yield rows
        finally:
            for row in started:  # all at once; the stack waits for each
                row.servers[-1].terminate()


def start(peer: Peer, launch: Launch) -> Server:
    """Start the peer's server, which has a command."""
    assert peer.command
    log = f"{row_name(peer, launch.workers)}-{launch.case.name}".replace(" ", "")
    return Server(log, peer.command(launch), _environment(launch) | peer.environment(launch), peer.home)


def prepare(peer: Peer, workers: int, case: Case, shared_ports: list[int]) -> Launch:
    """Install what the peer needs, and find ports. Raises NotRun, CannotInstall."""
    if case.binary and not peer.binary:
        raise NotRun("it takes no body of bytes")
    if missing := peer.missing():
        raise NotRun(missing)
    python = python_with(peer.name, peer.home / "requirements.txt") if peer.own_venv else SERVICE_PYTHON
    port, *own_ports = free_ports(3)
    triton_port, metrics_port = shared_ports if peer.triton == "shared" else own_ports
    if peer.command is None:
        port = triton_port
    return Launch(python, case, workers, port, triton_port, metrics_port)


def _environment(launch: Launch) -> dict[str, str]:
    return {
        "PORT": str(launch.port),
        "METRICS_PORT": str(launch.metrics_port),
        "WORKERS": str(launch.workers),
        "MODEL": launch.case.model,
        "ONNX": str(launch.case.onnx),
        "TRITON_URL": f"127.0.0.1:{launch.triton_port}",
    }
