"""Azure ML's own server with the script that Scoregate gets, as Azure's images start it."""

from pathlib import Path

from bench.peer import Launch, Peer
from bench.ports import free_ports

SCRIPTS = Path(__file__).parent.parent / "scoregate" / "azure"


def command(launch: Launch) -> list[str]:
    """azmlinfsrv; its Gunicorn has sync workers, which hang up after each answer, and writes an access log."""
    script = SCRIPTS / ("binary.py" if launch.case.binary else "json_body.py")
    (health_port,) = free_ports(1)
    return [
        *(str(launch.python.with_name("azmlinfsrv")), "--entry_script", str(script)),
        *("--worker_count", str(launch.workers), "--port", str(launch.port), "--health_port", str(health_port)),
    ]


PEER = Peer(name="azureml", home=Path(__file__).parent, command=command, own_venv=True, workers=(2,), triton="shared")
