# mypy: ignore-errors
# As a user writes it.
"""The script under test: an image's float32 in, the logits' out, as bytes."""

import os

from scoregate import Body, TritonModel


def init() -> None:
    """Once in each worker."""
    global model
    model = TritonModel(os.environ["MODEL"])


def run(body: Body) -> bytes:
    """Answer with the logits' bytes."""
    return model(image=body.array("<f4", (1, 3, 224, 224)))["logits"].tobytes()
