"""Installs the requirements.txt beside the entry script, for `make run` and for an image's build."""

import os
import site
import subprocess
import sys
from pathlib import Path

from ..settings import SettingError, Settings


def main() -> int:
    """Install what has changed since the last time into this Python. Returns pip's exit code."""
    try:
        script = Settings.from_environ(os.environ).entry_script
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3
    if not script.is_file():  # what stands beside it is not the script's; the start will say that it is missing
        return 0
    wanted = script.with_name("requirements.txt")
    # Who may not write to this Python's packages, as in a container, has pip install them for that user.
    base = sys.prefix if os.access(sys.prefix, os.W_OK) else site.getuserbase()
    installed = Path(base) / "entry-script-requirements.txt"
    if not wanted.is_file() or (installed.is_file() and installed.read_bytes() == wanted.read_bytes()):
        return 0
    print(f"Installing {wanted}", flush=True)  # noqa: T201
    # Triton's Python backend answers nothing but errors with numpy 2, so a script cannot ask for it.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy<2"]
    code = subprocess.call([*pip, "-r", str(wanted)])  # noqa: S603
    if code == 0:
        installed.write_bytes(wanted.read_bytes())
    return code


if __name__ == "__main__":
    sys.exit(main())
