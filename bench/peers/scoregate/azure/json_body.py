# mypy: ignore-errors
# As a user writes it.
"""A script as written for Azure ML."""

import json
import os

import numpy as np
import tritonclient.http

MODEL = os.environ["MODEL"]


def init() -> None:
    """Once in each worker."""
    global client
    client = tritonclient.http.InferenceServerClient(url=os.environ["TRITON_URL"])


def run(data: str) -> dict[str, object]:
    """Answer with the probabilities."""
    image = np.array(json.loads(data)["data"], dtype=np.float32)
    tensor = tritonclient.http.InferInput("image", image.shape, "FP32")
    tensor.set_data_from_numpy(image)
    return {"probabilities": client.infer(MODEL, [tensor]).as_numpy("probabilities").tolist()}
