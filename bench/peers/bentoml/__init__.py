"""BentoML with a batchable method; it takes JSON."""

from pathlib import Path

import numpy as np
import requests

from bench.cases import Array, Case
from bench.dialects import Dialect, ask_plainly
from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """As its docs say."""
    bind = ["--host", "127.0.0.1", "--port", str(launch.port)]
    return [str(launch.python), "-m", "bentoml", "serve", "server:Model", *bind]


def environment(_: Launch) -> dict[str, str]:
    """Send no statistics home."""
    return {"BENTOML_DO_NOT_TRACK": "true"}


def read(_: Case, response: requests.Response) -> Array:
    """Read the bare array that a batchable method returns."""
    return np.array(response.json(), np.float32)


PEER = Peer(
    name="bentoml",
    home=Path(__file__).parent,
    command=command,
    own_venv=True,
    environment=environment,
    dialect=Dialect(ask_plainly, read),
    binary=False,
)
