"""Venvs, one for the benchmark and one for each peer: made on first use, kept until what they hold changes."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent
VENVS = BENCH / ".venvs"
SERVICE_PYTHON = BENCH.parent / ".venv" / "bin" / "python"  # what `make install` made


class CannotInstall(Exception):
    """pip refused; the text is its last line and where its log lies."""


def python_with(name: str, requirements: Path) -> Path:
    """Give the Python of the venv with that name. requirements: a full closure. Raises CannotInstall."""
    venv = VENVS / name
    python = venv / "bin" / "python"
    installed = venv / "installed"
    wanted = f"{sys.version}\n{venv}\n{requirements.read_text()}"
    if installed.is_file() and installed.read_text() == wanted:
        return python
    print(f"Installing {requirements.relative_to(BENCH.parent)} into {venv.relative_to(BENCH.parent)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    log = venv / "pip.log"
    with log.open("w") as output:
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "-r", str(requirements)]
        if subprocess.run(pip, stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
            last = log.read_text().strip().rpartition("\n")[2]
            raise CannotInstall(f"{last} (all of it: {log.relative_to(BENCH.parent)})")
    installed.write_text(wanted)
    return python
