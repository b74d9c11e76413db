# mypy: ignore-errors
# Its packages are in a venv of its own.
"""Serves the model, batched."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=int(os.environ["WORKERS"]))
class Model:
    """The model."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])

    @bentoml.api(route="/score", batchable=True, max_batch_size=64)
    def score(self, data: np.ndarray) -> np.ndarray:
        """Run the model on a batch."""
        return self.session.run(["probabilities"], {"image": data.astype(np.float32)})[0]
