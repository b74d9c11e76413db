"""The fixtures that run the service."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with its defaults: the digits example and the models of models/triton."""
    running = Service(tmp_path_factory.mktemp("service") / "log", {})
    try:
        yield running.wait_ready()
    finally:
        assert running.stop() == 0, running.log.read_text()


def _starting(directory: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def begin(**env: object) -> Service:
        log = directory / f"log-{len(started)}"
        started.append(Service(log, {name: str(value) for name, value in env.items()}))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service with settings of its own; stopped after the test."""
    yield from _starting(tmp_path)


@pytest.fixture(scope="module")
def start_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start a service with settings of its own; stopped after the module's tests."""
    yield from _starting(tmp_path_factory.mktemp("services"))
