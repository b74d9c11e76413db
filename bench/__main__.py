"""python -m bench: make the benchmark's venv, go on in its Python. Needs nothing but the standard library."""

import os
import sys

from .venvs import BENCH, CannotInstall, python_with


def main() -> None:
    """Run bench.cli, bench.growth or bench.goals in the benchmark's venv."""
    try:
        python = python_with("bench", BENCH / "requirements.txt")
    except CannotInstall as error:
        sys.exit(f"The benchmark's own packages cannot be installed: {error}")
    for name in ("no_proxy", "NO_PROXY"):  # a proxy in the environment is for packages, not for what runs here
        os.environ[name] = f"{os.environ.get(name, '')},127.0.0.1"
    arguments = sys.argv[1:]
    module = arguments.pop(0) if arguments[:1] in (["growth"], ["goals"]) else "cli"
    os.execv(python, [str(python), "-m", f"bench.{module}", *arguments])


main()
