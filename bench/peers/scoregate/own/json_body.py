# mypy: ignore-errors
# As a user writes it.
"""A script with the service's own small call."""

import os

from scoregate import Body, TritonModel


def init() -> None:
    """Once in each worker."""
    global model
    model = TritonModel(os.environ["MODEL"])


def run(body: Body) -> dict[str, object]:
    """Answer with the probabilities."""
    return {"probabilities": model(image=body.json_array("data"))["probabilities"]}
