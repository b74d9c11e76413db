"""LitServe, which runs the model in processes of its own behind FastAPI. It takes JSON and forms, no bytes."""

from pathlib import Path

from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """Its server is a Python program."""
    return [str(launch.python), "server.py"]


# Its workers look for requests a thousand times a second: 14 % of a core each, on the machine at hand.
PEER = Peer(
    name="litserve",
    home=Path(__file__).parent,
    command=command,
    own_venv=True,
    workers=(1, 2),
    binary=False,
    polls=True,
)
