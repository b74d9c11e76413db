"""python -m bench.gpu: find a Python with torch, or make one; go on in it. Needs nothing but the standard library."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from ..venvs import BENCH, SERVICE_PYTHON, CannotInstall, python_with
from .options import parser

HERE = BENCH / "gpu"
IMPORTED = (
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "psutil",
    "pynvml",
    "requests",
    "rich",
    "torch",
    "torchvision",
)


def main() -> None:
    """Run bench.gpu.cli, or say in one line why it cannot run here."""
    options = parser().parse_args()
    gpu = has_gpu()
    if not gpu and not options.check:
        sys.exit("No NVIDIA GPU here (nvidia-smi -L names none), so nothing is measured; --check works without.")
    if problem := service_problem():
        sys.exit(problem)
    try:
        python = find_python(gpu)
    except CannotInstall as error:
        sys.exit(
            f"The packages of this benchmark cannot be installed: {error}. It also runs in a Python that has them: "
            f"the one that starts it lacks {', '.join(missing())}."
        )
    os.execv(python, [str(python), "-m", "bench.gpu.cli", *sys.argv[1:]])


def has_gpu() -> bool:
    """Whether the driver names a GPU."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return listed.returncode == 0 and "GPU" in listed.stdout


def service_problem() -> str:
    """Tell why torch cannot run beside the service, or ""."""
    if not SERVICE_PYTHON.exists():
        return "The service is not installed: make install."
    ask = [str(SERVICE_PYTHON), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    service = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    own = "{}.{}".format(*sys.version_info[:2])
    # Triton's stub runs the service's Python, and torch is compiled for one release of Python.
    return "" if own == service else f"The service's Python is {service}, this is {own}: start this with a {service}."


def missing() -> list[str]:
    """List what this Python lacks."""
    return [module for module in IMPORTED if not importlib.util.find_spec(module)]


def find_python(gpu: bool) -> Path:
    """Give this Python if it has everything, such as where torch came with the machine; else that of a venv.

    gpu: whether torch is to have CUDA. Raises CannotInstall.
    """
    if not missing():
        return Path(sys.executable)
    if gpu:
        return python_with("gpu", HERE / "requirements.txt")
    return python_with("gpu-check", HERE / "requirements-check.txt")


main()
