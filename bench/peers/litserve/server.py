# mypy: ignore-errors
# Its packages are in a venv of its own.
"""Serves the model, batched."""

import os

import litserve
import numpy as np
import onnxruntime


class Model(litserve.LitAPI):
    """The model with JSON around it."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - theirs
        """Load the model, in each worker."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict[str, object]) -> np.ndarray:
        """Take the one image of a request."""
        return np.array(request["data"][0], dtype=np.float32)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Run the model on a batch."""
        return self.session.run(["probabilities"], {"image": batch})[0]

    def encode_response(self, probabilities: np.ndarray) -> dict[str, object]:
        """Answer one request."""
        return {"probabilities": [probabilities.tolist()]}


if __name__ == "__main__":
    model = Model(max_batch_size=64, batch_timeout=0.001, api_path="/score")
    # fast_queue: as its docs advise from 100 requests a second on.
    server = litserve.LitServer(
        model, accelerator="cpu", devices=1, workers_per_device=int(os.environ["WORKERS"]), fast_queue=True
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
