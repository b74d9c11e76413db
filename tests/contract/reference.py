"""The servers that the contract is held against: ours, and azureml-inference-server-http in a venv of its own."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import requests
from contract import Scenario
from service import ROOT, START_DEADLINE_S, Service, wait_until

from bench.ports import free_ports

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
REQUIREMENTS = HERE / "requirements-reference.txt"
VENV = ROOT / ".venv-reference"
AHEAD = 2  # servers that start while another is being asked: as many as a small machine has cores


def install_reference() -> None:
    """Install their server, unless the venv already holds what the requirements ask for."""
    installed = VENV / "installed"
    wanted = f"{sys.version}\n{VENV}\n{REQUIREMENTS.read_text()}"
    with REQUIREMENTS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one run installs, others wait for it
        if installed.exists() and installed.read_text() == wanted:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        installed.write_text(wanted)


class Elsewhere:
    """What scenarios name besides themselves, each started when the first of them asks for it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def triton(self) -> Service:
        """A Triton that serves the digits model."""
        return Service(self._directory / "triton", {}).wait_ready()

    @cached_property
    def silent(self) -> socket.socket:
        """A port where connections are accepted and nothing is answered."""
        return socket.create_server(("127.0.0.1", 0))

    def stop(self) -> None:
        for name, each in vars(self).items():
            if name == "triton":
                each.stop()
            elif name == "silent":
                each.close()


def base(scenario: Scenario) -> dict[str, str]:
    script = {"AZUREML_ENTRY_SCRIPT": scenario.script} if scenario.script else {}
    return {"AML_APP_ROOT": "{root}"} | script


class Environment(dict[str, str]):
    """Values for the placeholders in a scenario's environment."""

    def __init__(self, elsewhere: Elsewhere, scenario: Scenario, health_port: int, release: Path) -> None:
        super().__init__(root=str(SCRIPTS / scenario.folder), health_port=str(health_port), release=str(release))
        self._elsewhere = elsewhere

    def __missing__(self, name: str) -> str:
        if name == "triton":
            return self._elsewhere.triton.triton_url.removeprefix("http://")
        host, port = getattr(self._elsewhere, name).getsockname()
        return f"{host}:{port}"

    def fill(self, *parts: Mapping[str, str]) -> dict[str, str]:
        return {name: value.format_map(self) for part in parts for name, value in part.items()}


class Ours(Service):
    """Scoregate, without Triton unless the scenario wants one."""

    ours = True
    product = "scoregate"

    def __init__(self, log: Path, scenario: Scenario, elsewhere: Elsewhere) -> None:
        (self.health_port,) = free_ports(1)
        self.release = log.with_suffix(".release")
        fill = Environment(elsewhere, scenario, self.health_port, self.release).fill
        super().__init__(
            log,
            fill(
                base(scenario),
                {"TRITON": "off"},
                dict(scenario.env),
                dict(scenario.ours),
            ),
        )

    def log_text(self) -> str:
        return self.log.read_text()

    def wait_end(self, deadline_s: float = START_DEADLINE_S) -> int:
        return self.process.wait(deadline_s)


class Theirs(Service):
    """azureml-inference-server-http, started as in its documentation."""

    ours = False
    product = "azmlinfsrv"

    def __init__(self, log: Path, scenario: Scenario, elsewhere: Elsewhere) -> None:
        self.port, self.health_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.release = log.with_suffix(".release")
        fill = Environment(elsewhere, scenario, self.health_port, self.release).fill
        env = fill(
            base(scenario),
            dict(scenario.env),
            dict(scenario.theirs),
        )
        # It asks for --entry_script or --config_file. The former would replace AZUREML_ENTRY_SCRIPT by an absolute
        # path, an empty file counts as none; so all it goes by is the environment, as with ours. HEALTH_PORT is the
        # exception: it sets that variable from --health_port.
        config = env.get("AZUREML_CONFIG_FILE", "/dev/null")
        flags = ["--config_file", config, "--port", str(self.port), "--health_port", str(self.health_port)]
        home = log.with_suffix(".home")  # Gunicorn puts a control socket there
        home.mkdir()
        root = Path(env["AML_APP_ROOT"])
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(VENV / "bin" / "azmlinfsrv"), *flags],
                cwd=root if root.is_dir() else HERE,  # as Azure's images do
                env=os.environ | {"HOME": str(home)} | env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    log_text = Ours.log_text
    wait_end = Ours.wait_end

    def wait_ready(self) -> "Theirs":
        def ready_or_dead() -> object:
            assert self.process.poll() is None, f"Their server ended:\n{self.log_text()}"
            with contextlib.suppress(requests.Timeout):
                return requests.get(self.url, timeout=5).status_code == 200
            return False

        wait_until(ready_or_dead, START_DEADLINE_S, "ready", self.log)
        return self


KINDS: dict[str, type[Ours | Theirs]] = {"theirs": Theirs, "ours": Ours}
Key = tuple[str, Scenario]


class Servers:
    """Starts the servers of a plan in its order, some ahead of their use, and stops each without waiting for it."""

    def __init__(self, directory: Path, plan: list[Key]) -> None:
        self._directory = directory
        self._plan = plan
        self._elsewhere = Elsewhere(directory)
        self._started: dict[Key, Ours | Theirs] = {}
        self._current: Key | None = None

    def running(self, key: Key) -> Ours | Theirs:
        """The server of this key; that of the key before is stopped."""
        if self._current and self._current != key:
            self._started[self._current].process.terminate()
        self._current = key
        place = self._plan.index(key)
        for each in self._plan[place : place + 1 + AHEAD]:
            if each not in self._started:
                log = self._directory / f"{len(self._started)}-{each[0]}-{each[1].folder.replace('/', '-')}"
                self._started[each] = KINDS[each[0]](log, each[1], self._elsewhere)
        server = self._started[key]
        return server.wait_ready() if key[1].wait else server

    def stop(self) -> None:
        for each in self._started.values():
            each.process.terminate()
        for each in self._started.values():
            each.stop()
        self._elsewhere.stop()
