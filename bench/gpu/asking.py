"""What is asked of whom: the cases, the service with so many workers, and Triton alone."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np

from ..cases import Array, Case
from ..dialects import V2, Dialect, Request
from ..peers import scoregate, triton
from .nets import SHAPE

HERE = Path(__file__).parent
CONNECTIONS = (64, 128, 256)
WORKERS = (1, 2, 4, 8)


def images(count: int) -> Array:
    """Make images, [count, 3, 224, 224]: squares of random colours. (Noise they would all take for the same.)"""
    colours = np.random.default_rng(0).standard_normal((count, SHAPE[0], 7, 7))
    return np.kron(colours, np.ones((1, 1, 32, 32))).astype("<f4")


def case(model: str, model_directory: Path) -> Case:
    """One image as 602,112 bytes (588 KiB) of float32."""
    return of_image(Case(model, True, CONNECTIONS, model_directory, b"", "application/octet-stream"), images(1)[0])


def of_image(case: Case, image: Array) -> Case:
    """Ask for another image."""
    return dataclasses.replace(case, body=image.tobytes(), content=image[np.newaxis])


def ask_straight(case: Case) -> Request:
    """Put the image into Triton's binary form.

    Source: triton-inference-server/server, docs/protocol/extension_binary_data.md.
    """
    size = {"binary_data_size": len(case.body)}
    tensor = {"name": "image", "shape": [1, *SHAPE], "datatype": "FP32", "parameters": size}
    outputs = [{"name": "logits", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Request(f"/v2/models/{case.model}/infer", head + case.body, headers)


# answers=False: rows.py would compare as exactly as float32 allows; answers.py does it here.
STRAIGHT = Dialect(ask_straight, V2.read)
TRITON = dataclasses.replace(triton.PEER, dialect=STRAIGHT, answers=False)
SERVICE = dataclasses.replace(
    scoregate.OWN,
    home=HERE,
    environment=functools.partial(scoregate.environment, script=HERE / "score.py"),
    workers=WORKERS,
    answers=False,
)
