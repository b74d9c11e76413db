# mypy: ignore-errors
# As a user writes it.
"""A script with the service's own small call, for bytes."""

import os

from scoregate import Body, TritonModel


def init() -> None:
    """Once in each worker."""
    global model
    model = TritonModel(os.environ["MODEL"])


def run(body: Body) -> bytes:
    """Answer with the probabilities' bytes."""
    return model(image=body.array("<f4", (1, 3, 64, 64)))["probabilities"].tobytes()
