"""python -m bench: make the benchmark's venv, go on in its Python. Needs nothing but the standard library."""

import os
import sys

from .venvs import BENCH, CannotInstall, python_with


def main() -> None:
    """Run bench.cli or bench.growth in the benchmark's venv."""
    try:
        python = python_with("bench", BENCH / "requirements.txt")
    except CannotInstall as error:
        sys.exit(f"The benchmark's own packages cannot be installed: {error}")
    module = "bench.growth" if sys.argv[1:] == ["growth"] else "bench.cli"
    os.execv(python, [str(python), "-m", module, *sys.argv[1:]])


main()
