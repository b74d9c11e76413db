"""MLServer with a runtime of one's own and adaptive batching; it speaks Triton's protocol, in JSON only."""

import tempfile
from pathlib import Path

from bench.dialects import V2
from bench.peer import Launch, Peer
from bench.ports import free_ports


def command(launch: Launch) -> list[str]:
    """As its docs say."""
    return [str(launch.python.with_name("mlserver")), "start", "."]


def environment(launch: Launch) -> dict[str, str]:
    """Give it its settings, which may all stand in the environment."""
    (grpc_port,) = free_ports(1)
    directory = tempfile.gettempdir()
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(launch.port),
        "MLSERVER_GRPC_PORT": str(grpc_port),
        "MLSERVER_METRICS_PORT": str(launch.metrics_port),
        "MLSERVER_METRICS_DIR": directory,
        "MLSERVER_ENVIRONMENTS_DIR": directory,
        "MLSERVER_DEBUG": "false",
        "MLSERVER_MODEL_NAME": launch.case.model,
        "MLSERVER_MODEL_IMPLEMENTATION": "server.Model",
        "MLSERVER_MODEL_MAX_BATCH_SIZE": "64",
        "MLSERVER_MODEL_MAX_BATCH_TIME": "0.001",
    }


PEER = Peer(
    name="mlserver",
    home=Path(__file__).parent,
    command=command,
    own_venv=True,
    environment=environment,
    dialect=V2,
    binary=False,
)
