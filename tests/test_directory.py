"""The directory that a service has for itself, and what is left of a service that was killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from service import ROOT, Service, command_line, descendants, wait_until

from bench.ports import free_ports

ECHO = "import os\ndef init(): pass\ndef run(data): return os.getpid()\n"


@pytest.fixture
def script(tmp_path):
    (tmp_path / "score.py").write_text(ECHO)
    return tmp_path


def status(service: Service) -> str:
    command = [sys.executable, "-m", "scoregate.cli.serve", "status"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | service.env, capture_output=True, text=True).stdout


def reload(service: Service) -> None:
    subprocess.run(["make", "reload"], cwd=ROOT, env=os.environ | service.env, check=True)


def remove(service: Service) -> None:
    """At once: the service writes into it."""
    gone = service.directory.rename(service.directory.with_name(f"{service.directory.name}-gone"))
    shutil.rmtree(gone, ignore_errors=True)


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if command_line(pid)]


def test_a_directory_that_is_removed_takes_nothing_away_and_is_made_anew(start, script):
    service = start(APP_ROOT=script, TRITON="off", WORKER_COUNT=2).wait_ready()
    children = descendants(service.process.pid)
    assert status(service) == f"ready: 2 of 2 workers can score, process {service.process.pid}\n"
    workers = {service.score("x").json() for _ in range(20)}
    answered = 'scoregate_requests_total{route="/score",status="200"}'
    wait_until(lambda: service.metric(answered) == 20, 5, "counted")

    remove(service)
    assert requests.get(service.url + "/health/ready", timeout=5).status_code == 200
    assert service.score("x").ok
    wait_until(lambda: service.metric(answered) == 21, 10, "the metrics are whole again")
    wait_until((service.directory / "gunicorn.pid").exists, 10, "made anew")
    assert status(service).startswith("ready: 2 of 2")
    reload(service)
    wait_until(lambda: service.score("x").json() not in workers, 20, "reloaded", service.log)

    remove(service)
    os.kill(service.score("x").json(), signal.SIGKILL)
    wait_until(lambda: status(service).startswith("ready: 2 of 2"), 20, "the killed worker is replaced", service.log)
    remove(service)
    assert service.stop() == 0
    assert alive(children) == []
    assert not service.directory.exists()
    assert status(service).startswith("stopped: ")
    assert [line for line in service.log.read_text().splitlines() if "Traceback" in line or "Exception" in line] == []


def test_a_triton_whose_directory_is_removed_loads_models_all_the_same(start):
    explicit = "--model-control-mode=explicit --load-model=digits"
    service = start(TRITON_EXTRA_ARGS=explicit).wait_ready()
    remove(service)
    wait_until((service.directory / "triton.pid").exists, 10, "made anew")
    load = f"{service.triton_url}/v2/repository/models/iris/load"
    wait_until(lambda: requests.post(load, timeout=30).ok, 20, "loaded", service.log)
    assert requests.get(f"{service.triton_url}/v2/models/iris/ready", timeout=5).ok


def test_services_with_one_port_on_two_addresses_do_not_touch_each_other(start, script):
    (port,) = free_ports(1)
    first, second = (
        start(APP_ROOT=script, TRITON="off", HOST=host, PORT=port).wait_ready() for host in ("127.0.0.1", "127.0.0.2")
    )
    before = second.score("x").json()
    assert first.stop() == 0
    assert second.directory.exists()
    assert status(second) == f"ready: 1 of 1 workers can score, process {second.process.pid}\n"
    reload(second)
    wait_until(lambda: second.score("x").json() != before, 20, "reloaded", second.log)


def test_of_two_starts_in_one_instant_one_wins_and_the_other_says_who_has_it(start, script):
    for _ in range(2):
        (port,) = free_ports(1)
        both = [start(APP_ROOT=script, TRITON="off", PORT=port) for _ in range(2)]
        wait_until(lambda: any(each.process.poll() is not None for each in both), 20, "one gives up")  # noqa: B023
        (loser,) = [each for each in both if each.process.poll() is not None]
        (winner,) = [each for each in both if each is not loser]
        assert loser.process.returncode == 3
        assert loser.log.read_text().startswith(
            f"{winner.directory} belongs to a service that runs, process {winner.process.pid}. Stop that one"
        )
        assert len(loser.log.read_text().splitlines()) == 1
        winner.wait_ready()
        assert winner.stop() == 0
        assert alive(descendants(winner.process.pid)) == []


def test_what_a_killed_service_leaves_ends_by_itself_or_at_the_next_start(start, script):
    """A child of the script's has no parent any more, and does not know."""
    (script / "score.py").write_text(
        "import subprocess\n"
        "def init():\n    global child\n    child = subprocess.Popen(['sleep', '600'])\n"
        "def run(data): return child.pid\n"
    )
    service = start(APP_ROOT=script).wait_ready()
    left = service.score("x").json()
    children = descendants(service.process.pid)
    service.process.kill()
    service.process.wait()
    wait_until(lambda: alive(children) == [left], 30, "all but one end")
    again = start(**service.env).wait_ready()
    assert alive([left]) == []
    assert f"Ended what a service that was killed had left: [{left}]" in again.log.read_text()


def one_line(service: Service) -> str:
    assert service.wait_end() == 3
    (line,) = service.log.read_text().splitlines()
    return line


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_lies_in_the_directorys_place_stops_the_start_with_one_line(start, tmp_path, kind):
    (port,) = free_ports(1)
    place = Path(os.environ.get("TMPDIR", "/tmp"), f"scoregate-{os.getuid()}-0.0.0.0-{port}")
    try:
        if kind == "file":
            place.write_text("")
        else:
            place.symlink_to(tmp_path)
        assert one_line(start(PORT=port)).startswith(f"{place} cannot be this service's directory: ")
        assert place.is_symlink() or place.is_file()
    finally:
        place.unlink()


def test_too_few_open_files_stop_the_start_with_one_line(start, tmp_path, monkeypatch):
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/sh\nulimit -n 512\nexec "{sys.executable}" "$@"\n')
    limited.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(limited))
    assert one_line(start()).startswith("Only 512 files may be open at once, and the service needs 1024 at least.")


def test_whoever_does_not_read_the_log_holds_nobody_up(tmp_path):
    """Neither requests, nor the stop; lines that were not taken are dropped, counted and told."""
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data):\n    print('x' * 100_000)\n    return 1\n")
    reader, writer = os.pipe()
    service = Service(Path(f"/dev/fd/{writer}"), {"APP_ROOT": str(tmp_path), "TRITON": "off"})
    os.close(writer)
    service.log = tmp_path / "log"
    service.log.write_text("")
    try:
        service.wait_ready()
        for _ in range(100):
            assert service.score("x").ok
        assert requests.get(service.url + "/health/ready", timeout=5).ok
        text = b""
        while b"lines of the log were dropped: nobody read them." not in text:
            text += os.read(reader, 65536)
        for _ in range(100):
            assert service.score("x").ok
        assert service.stop(20) == 0
    finally:
        if service.process.poll() is None:
            service.process.kill()
        os.close(reader)


def test_a_start_that_fails_ends_although_nobody_reads_why(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    service = Service(Path(f"/dev/fd/{writer}"), {"WORKER_COUNT": "0"})
    assert service.process.wait(20) == 3
    os.close(writer)
    os.close(reader)
