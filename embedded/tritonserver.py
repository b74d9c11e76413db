"""Start Triton: the container's tritonserver if there is one, else the CPU one in the pip wheel nvidia-pytriton.

Takes tritonserver's flags and becomes tritonserver (exec), so that a supervisor's signals reach it. What would keep
Triton from serving is said in one line on stderr, with exit code 3: starting again does not help.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH keeps Python from doing it

from model_repository import (
    UNSAFE,
    check_embedded_can_serve,
    check_native_can_serve,
    check_repository,
    say,
    stop,
)

STRICT_OFF = "--strict-model-config=false"
AUTO_COMPLETE_OFF = "--disable-auto-complete-config"
INPUT_SIZE = f"--http-max-input-size={2**31 - 1}"  # since 25.06, else 64 MiB; MAX_BODY_BYTES is what limits requests
CLIENTS_MEMORY = "--allow-client-shm=true"  # before 26.05 it was so; for large tensors
WITHOUT_GPU = ("--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0")
SHARED_MEMORY = 256 << 20  # bytes; Docker gives 64 MiB, of which one instance was seen to take 43 under load


def main() -> NoReturn:
    """Check what Triton would stumble over, tidy up after a killed predecessor, become tritonserver."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model-repository", "--model-store", action="append", default=[])
    parser.add_argument("--backend-config", action="append", default=[])
    parser.add_argument("--backend-directory", type=Path)
    parser.add_argument("--only-lay-out", action="store_true")
    flags, others = parser.parse_known_args()

    # s3://, gs:// and as:// are Triton's to read.
    repositories = [Path(path).absolute() for path in flags.model_repository if "://" not in path]
    if flags.only_lay_out:
        lay_out(repositories)
        sys.exit()
    for repository in repositories:
        check_repository(repository)
    check_shared_memory()
    Path(tempfile.gettempdir(), "triton.pid").write_text(str(os.getpid()))  # whoever finds it of no use may kill it
    settings = dict(setting.rpartition("=")[::2] for setting in flags.backend_config)
    if prefix := settings.get("python,shm-region-prefix-name"):
        remove_stale_shared_memory(prefix)

    environment = dict(os.environ)
    environment["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime would send what it does to its makers
    if size := settings.get("default-max-batch-size"):  # Triton does not hand its flags down to a Python-based backend
        environment["TRITON_DEFAULT_MAX_BATCH_SIZE"] = size
    if not has_gpu():
        let_workers_go_first()

    if native := native_triton():
        backends = flags.backend_directory or Path(native).resolve().parent.parent / "backends"
        for repository in repositories:
            check_native_can_serve(repository, backends)
        if not has_gpu():
            say("There is no GPU here: Triton serves on the CPU.")
        become(native, native, environment, sys.argv[1:])

    if not (wheel := embedded_triton()):
        stop(
            "No Triton here: neither tritonserver on PATH nor the package nvidia-pytriton for this Python. "
            "Install requirements-embedded.txt, use the container image, or set TRITON=off to run without Triton."
        )
    for repository in repositories:
        check_embedded_can_serve(repository)
    packages = wheel.parent.parent
    environment |= {
        "LD_LIBRARY_PATH": search_path("LD_LIBRARY_PATH", packages / "nvidia_pytriton.libs", *libpython_directory()),
        # The stub's Python ignores PYTHONPATH and PYTHONHOME. It takes the first python3 on PATH to be itself, and so
        # finds that one's standard library, pyvenv.cfg and site-packages.
        "PATH": search_path("PATH", Path(sys.executable).parent),
    }
    binary = wheel / "bin" / "tritonserver"
    arguments = [
        f"--backend-directory={flags.backend_directory or make_backends(wheel)}",
        f"--cache-directory={wheel / 'caches'}",
        *others,
        *(f"--backend-config={setting}" for setting in flags.backend_config),
        *(f"--model-repository={path}" for path in flags.model_repository if "://" in path),
        *(f"--model-repository={path_for_stub(*numbered)}" for numbered in enumerate(repositories)),
    ]
    # The stub puts the working directory first on sys.path: a model.py lying there was taken for the backend's.
    os.chdir(tempfile.gettempdir())
    become(binary, "tritonserver", environment, arguments)


def native_triton() -> str | None:
    """The container's tritonserver."""
    return shutil.which("tritonserver") or shutil.which("/opt/tritonserver/bin/tritonserver")


def embedded_triton() -> Path | None:
    """The directory of the one in the pip wheel."""
    pytriton = importlib.util.find_spec("pytriton")
    return Path(pytriton.origin).parent / "tritonserver" if pytriton and pytriton.origin else None


def lay_out(repositories: list[Path]) -> None:
    """Make anew what an embedded Triton that runs needs in the temporary directory, which somebody has removed."""
    if not native_triton() and (wheel := embedded_triton()):
        make_backends(wheel)
        for numbered in enumerate(repositories):
            path_for_stub(*numbered)


def become(binary: str | Path, name: str, environment: dict[str, str], arguments: list[str]) -> NoReturn:
    """Become tritonserver, with the flags that this release of it takes, which its --help tells.

    Exit for one that was asked for and that it does not have.
    """
    told = subprocess.run([binary, "--help"], env=environment, capture_output=True, text=True)
    known = set(re.findall(r"--[a-z][a-z0-9-]+", told.stdout + told.stderr))
    if AUTO_COMPLETE_OFF in known:  # since there is this flag, configs are completed without one, and STRICT_OFF warns
        arguments = [each for each in arguments if each != STRICT_OFF]
    for each in arguments:
        flag = each.partition("=")[0]
        if each.startswith("--") and flag not in known:
            stop(f"This tritonserver has no flag {flag}. Correct TRITON_EXTRA_ARGS; tritonserver --help has them all.")
    ours = [INPUT_SIZE, CLIENTS_MEMORY, *([] if has_gpu() else WITHOUT_GPU)]
    os.execve(binary, [name, *(each for each in ours if each.partition("=")[0] in known), *arguments], environment)  # noqa: S606


def has_gpu() -> bool:
    """Whether there is a device of NVIDIA's driver, or of the one that a WSL has."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def let_workers_go_first() -> None:
    """Share the processors with Gunicorn's workers so that requests come to Triton side by side.

    A model computes for long, a worker for a moment, and then Triton has one request more for its next batch. So no
    thread of Triton's interrupts a worker when it wakes.
    """
    with contextlib.suppress(OSError):  # a sandbox that does not know it: Triton serves without
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def check_shared_memory() -> None:
    """Warn if there is little of it: the Python backend keeps tensors there, and fails when it is full."""
    memory = os.statvfs("/dev/shm")  # noqa: S108
    size = memory.f_blocks * memory.f_frsize
    if size < SHARED_MEMORY:
        say(
            f"/dev/shm has only {size >> 20} MiB; when it is full, models of Triton's Python backend fail. "  # noqa: S108
            f"Give it more: docker run --shm-size={SHARED_MEMORY >> 20}m, or in Kubernetes a volume of medium Memory."
        )


def remove_stale_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a predecessor that was killed together with its stubs.

    A stub whose tritonserver alone was killed removes its own and exits, within 0.5 s, even while it computes.
    """
    uuid = re.compile(re.escape(prefix) + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # Triton adds it
    for region in Path("/dev/shm").iterdir():  # noqa: S108  where Linux keeps it
        if uuid.fullmatch(region.name):
            region.unlink(missing_ok=True)


def path_for_stub(number: int, repository: Path) -> Path:
    """The repository, by way of a symbolic link where its own path is one that Triton cannot give to a stub."""
    if not UNSAFE.search(str(repository)):
        return repository
    link = Path(tempfile.gettempdir(), f"repository-{number}")
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    return link


def libpython_directory() -> list[Path]:
    """Where the stub finds this Python's libpython; empty if the dynamic loader knows. Exit if there is none."""
    libpython = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    own = Path(sys.base_prefix, "lib")
    if (own / libpython).is_file():
        return [own]
    try:
        ctypes.CDLL(libpython)
    except OSError:
        package = libpython.removesuffix(".so.1.0")
        stop(f"Triton's Python backend needs {libpython}. Install it: apt-get install {package} (Debian, Ubuntu).")
    return []


def search_path(variable: str, *first: Path) -> str:
    """The directories of an environment variable, ours before those that it already has."""
    return os.pathsep.join([*map(str, first), *filter(None, [os.environ.get(variable)])])


def make_backends(wheel: Path) -> Path:
    """Lay out a backend directory: the wheel's Python backend with this Python's stub, and our Python-based ones."""
    backends = Path(tempfile.gettempdir(), "backends")
    if UNSAFE.search(str(backends)):
        stop(f"Triton's Python backend cannot start from {backends}: set TMPDIR to a path without spaces.")
    shutil.rmtree(backends, ignore_errors=True)
    python = backends / "python"
    python.mkdir(parents=True)
    # Copies: Triton refuses a library that a symbolic link leads out of the backend's directory.
    for file in (wheel / "backends" / "python").iterdir():
        if file.is_file():
            shutil.copy(file, python)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(wheel / "python_backend_stubs" / version / "triton_python_backend_stub", python)
    ours = Path(__file__).resolve().parent / "backends"
    for backend in ("onnxruntime", "tensorflow"):
        for part in ("python_based", backend):  # Triton puts no other directory than the backend's on Python's path
            shutil.copytree(ours / part, backends / backend, dirs_exist_ok=True)
    return backends


if __name__ == "__main__":
    main()
