"""PyTriton: Triton in front of a Python function with ONNX Runtime; callers speak Triton's protocol."""

import sys
from pathlib import Path

from bench.dialects import V2
from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """Its server is a Python program."""
    return [str(launch.python), "server.py"]


def environment(_: Launch) -> dict[str, str]:
    """Show Triton's stub the libpython of this Python, as its docs advise; one of the system may be another release."""
    return {"LD_LIBRARY_PATH": str(Path(sys.base_prefix, "lib"))}


PEER = Peer(
    name="pytriton",
    home=Path(__file__).parent,
    command=command,
    own_venv=True,
    environment=environment,
    triton="own",
    dialect=V2,
)
