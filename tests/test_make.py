"""The README's commands, typed into a terminal, in a fresh clone whose path has a space."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from service import ROOT, wait_until

from bench.ports import free_ports

INSTALL_DEADLINE_S = 600


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user clones: the files that git knows or would add, without .venv."""
    directory = tmp_path_factory.mktemp("a clone with a space") / "scoregate"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    return directory


class Terminal:
    """A command in a terminal of its own, with what it printed so far."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str]) -> None:
        self.text = ""
        self.ours, theirs = pty.openpty()
        # A new session whose controlling terminal is the pty, as a login shell has it.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            cwd=cwd,
            env=os.environ | env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the last process has closed the terminal
            while data := os.read(self.ours, 65536):
                self.text += data.decode(errors="replace").replace("\r\n", "\n")

    def shows(self, text: str, deadline_s: float) -> None:
        def shown_or_ended() -> bool:
            assert text in self.text or self.process.poll() is None, self.text
            return text in self.text

        try:
            wait_until(shown_or_ended, deadline_s, text)
        except AssertionError as error:
            raise AssertionError(self.text) from error

    def ctrl_c(self) -> int:
        os.write(self.ours, b"\x03")
        return self.process.wait(60)


@pytest.fixture
def make(clone: Path) -> Iterator:
    started = []

    def begin(*arguments: str, cwd: Path = clone) -> Terminal:
        ports = dict(zip(("PORT", "TRITON_HTTP_PORT", "TRITON_METRICS_PORT"), map(str, free_ports(3)), strict=True))
        started.append(Terminal(["make", *arguments], cwd, ports))
        started[-1].port = ports["PORT"]
        return started[-1]

    yield begin
    for terminal in started:
        if terminal.process.poll() is None:
            terminal.ctrl_c()


def test_make_run_serves_the_readmes_request_and_ctrl_c_ends_it_with_code_0(make, clone):
    terminal = make("run")
    terminal.shows("Installing requirements.txt", 30)
    terminal.shows("Ready.", INSTALL_DEADLINE_S)
    terminal.shows("curl -X POST", 5)
    assert re.search(r"^ *digits +1 +READY$", terminal.text, re.MULTILINE)
    (pasted,) = re.findall(r"^ *(curl .*)$", terminal.text, re.MULTILINE)
    typed = "curl -X POST localhost:5001/score -d @examples/digits/request.json"
    assert pasted == typed.replace("5001", terminal.port)
    answer = subprocess.run(["sh", "-c", pasted], cwd=clone, capture_output=True, text=True, check=True).stdout
    readme = (clone / "README.md").read_text()
    assert (typed in readme, answer in readme, bool(answer)) == (True, True, True)
    assert terminal.ctrl_c() == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://localhost:{terminal.port}/", timeout=5)


def test_again_from_another_directory_it_installs_nothing(make, clone, tmp_path):
    terminal = make("-f", str(clone / "Makefile"), "run", cwd=tmp_path)
    terminal.shows("Ready.", 120)
    assert "Installing" not in terminal.text
    assert terminal.ctrl_c() == 0


def test_a_python_that_does_not_fit_is_refused_with_one_line(clone, tmp_path):
    (tmp_path / "old").write_text(
        '#!/bin/sh\nexec "$PYTHON3" -c "import sys; sys.version_info = (3, 9); exec(sys.argv[2])" "$@"\n'
    )
    (tmp_path / "old").chmod(0o755)
    (clone / "pyproject.toml").write_text(
        (clone / "pyproject.toml").read_text() + "\n# changed, so an install is due\n"
    )
    done = subprocess.run(
        ["make", "install", f"PYTHON={tmp_path / 'old'}"],
        cwd=clone,
        env=os.environ | {"PYTHON3": shutil.which("python3")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Python 3.11 or 3.12 is needed, this is 3.9." in done.stderr
