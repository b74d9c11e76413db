"""Scoregate as its user starts it, with a script written for Azure ML, and with one that uses its own small call."""

import dataclasses
import functools
import subprocess
from pathlib import Path

from bench.peer import Launch, Peer
from bench.venvs import BENCH, SERVICE_PYTHON

HERE = Path(__file__).parent


def command(launch: Launch) -> list[str]:
    """What `make run` ends in."""
    return [str(launch.python), "-m", "scoregate.cli.serve", "-c", str(BENCH.parent / "supervisord.conf")]


def environment(launch: Launch, script: Path | None = None) -> dict[str, str]:
    """Give the service its settings; script: None for the service's own default."""
    return {
        "WORKER_COUNT": str(launch.workers),
        "TRITON_HTTP_PORT": str(launch.triton_port),
        "TRITON_METRICS_PORT": str(launch.metrics_port),
        "TRITON_URL": "localhost:8000",  # what scripts for Azure ML say; the service sends them to its own Triton
        "MODEL_DIR": str(launch.case.model_directory),
        "ENTRY_SCRIPT": str(script) if script else "",
    }


def with_scripts(folder: Path, launch: Launch) -> dict[str, str]:
    """Use the script of that folder for the form of the body."""
    return environment(launch, folder / ("binary.py" if launch.case.binary else "json_body.py"))


def own_call_is_missing() -> str:
    """Tell why the scripts in own/ cannot run."""
    found = subprocess.run([str(SERVICE_PYTHON), "-c", "from scoregate import Body, TritonModel"], capture_output=True)
    return "this scoregate has no Body and TritonModel" if found.returncode else ""


PEER = Peer(
    name="scoregate",
    home=HERE,
    command=command,
    environment=functools.partial(with_scripts, HERE / "azure"),
    workers=(1, 2),
    triton="own",
)
OWN = Peer(
    name="scoregate-own",
    home=HERE,
    command=command,
    environment=functools.partial(with_scripts, HERE / "own"),
    workers=(1, 2),
    triton="own",
    missing=own_call_is_missing,
)
# The row before once more: how far two rows come out apart that are the same.
TWIN = dataclasses.replace(OWN, name="scoregate-twin", workers=(1,))


def of_user(script: Path | None) -> Peer:
    """Serve with a user's script, from where the user is."""
    return Peer(
        name="scoregate",
        home=Path.cwd(),
        command=command,
        environment=functools.partial(environment, script=script),
        workers=(1, 2),
        triton="own",
    )
