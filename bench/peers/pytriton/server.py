# mypy: ignore-errors
# Its packages are in a venv of its own.
"""Serves a function that runs the model."""

import os
import signal
from pathlib import Path

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["ONNX"], options, providers=["CPUExecutionProvider"])


@batch
def infer(image: np.ndarray) -> dict[str, np.ndarray]:
    """Run the model on a batch."""
    return {"probabilities": session.run(["probabilities"], {"image": image})[0]}


signal.signal(signal.SIGTERM, signal.default_int_handler)  # else Triton and its shared memory stay behind
config = TritonConfig(
    http_address="127.0.0.1",
    http_port=int(os.environ["PORT"]),
    metrics_port=int(os.environ["METRICS_PORT"]),
    allow_grpc=False,
    exit_timeout_secs=1,  # else it waits 30 s for callers who hung up
)
with Triton(config=config) as triton:
    triton.bind(
        model_name=os.environ["MODEL"],
        infer_func=infer,
        inputs=[Tensor(name="image", dtype=np.float32, shape=session.get_inputs()[0].shape[1:])],
        outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(10,))],
        config=ModelConfig(max_batch_size=64),  # with the dynamic batcher, which is its default
    )
    triton.serve()
for region in Path("/dev/shm").glob(f"pytrtion{os.getpid()}-*"):  # a Triton that did not wait leaves its shared memory
    region.unlink()
