# mypy: ignore-errors
# As a user writes it.
"""The mean of any number of float32, with the service's own small call."""

from scoregate import Body, TritonModel


def init() -> None:
    """Once in each worker."""
    global model
    model = TritonModel("mean")


def run(body: Body) -> bytes:
    """Answer with four bytes."""
    return model(numbers=body.array("<f4", (-1,)))["mean"].tobytes()
