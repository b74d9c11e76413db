"""The machine and the versions, without which figures say nothing."""

import os
import platform
import re
import subprocess
from pathlib import Path

import psutil

from .venvs import SERVICE_PYTHON

PACKAGES = ("flask", "gevent", "gunicorn", "nvidia-pytriton", "onnxruntime", "scoregate", "tritonclient")


def description() -> dict[str, str]:
    """Describe it, a line each."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "wrk": subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.partition(" [")[0],
        **_versions(),
    }


def _versions() -> dict[str, str]:
    """Ask the service's Python, whose packages the rows without a venv of their own use, too."""
    ask = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run([str(SERVICE_PYTHON), "-c", ask, *PACKAGES], capture_output=True, text=True, check=True)
    return dict(zip(PACKAGES, done.stdout.split(), strict=True))
