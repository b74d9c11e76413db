"""The servers that the contract is held against: ours, and azureml-inference-server-http in a venv of its own."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import requests
from contract import Scenario
from service import ROOT, START_DEADLINE_S, Service, free_ports, wait_until

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
REQUIREMENTS = HERE / "requirements-reference.txt"
VENV = ROOT / ".venv-reference"
AHEAD = 2  # servers that start while another is being asked: as many as a small machine has cores


def install_reference() -> None:
    """Install their server, unless the venv already holds what the requirements ask for."""
    installed = VENV / "installed"
    wanted = f"{sys.version}\n{VENV}\n{REQUIREMENTS.read_text()}"
    VENV.mkdir(exist_ok=True)
    with (VENV / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text() == wanted:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        installed.write_text(wanted)


def environment(scenario: Scenario, health_port: int) -> dict[str, str]:
    root = SCRIPTS / scenario.folder
    env = {"AML_APP_ROOT": "{root}", "AZUREML_ENTRY_SCRIPT": scenario.script} | dict(scenario.env)
    return {name: value.format(root=root, health_port=health_port) for name, value in env.items()}


class Ours(Service):
    """Scoregate without Triton."""

    ours = True
    product = "scoregate"

    def __init__(self, log: Path, scenario: Scenario) -> None:
        (self.health_port,) = free_ports(1)
        env = environment(scenario, self.health_port) | {"TRITON": "off"} | dict(scenario.ours)
        super().__init__(log, {name: value.format(root=SCRIPTS / scenario.folder) for name, value in env.items()})

    def log_text(self) -> str:
        return self.log.read_text()


class Theirs(Service):
    """azureml-inference-server-http, started as in its documentation."""

    ours = False
    product = "azmlinfsrv"

    def __init__(self, log: Path, scenario: Scenario) -> None:
        self.port, self.health_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        env = environment(scenario, self.health_port) | dict(scenario.theirs)
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

    def log_text(self) -> str:
        return self.log.read_text()

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
        self._running: dict[Key, Ours | Theirs] = {}
        self._stopping: list[Ours | Theirs] = []
        self._started = 0

    def _start(self, key: Key) -> None:
        if key not in self._running:
            self._started += 1
            self._running[key] = KINDS[key[0]](self._directory / f"log-{self._started}", key[1])

    @contextlib.contextmanager
    def running(self, key: Key) -> Iterator[Ours | Theirs]:
        place = self._plan.index(key)
        for each in self._plan[place : place + 1 + AHEAD]:
            self._start(each)
        server = self._running[key]
        try:
            yield server.wait_ready() if key[1].wait else server
        finally:
            del self._running[key]
            self._stopping.append(server)
            if server.process.poll() is None:
                server.process.terminate()

    def stop(self) -> None:
        for each in [*self._stopping, *self._running.values()]:
            each.stop()
