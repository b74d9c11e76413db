# mypy: ignore-errors
# Runs inside Triton, whose modules mypy does not see.
"""A network as a model of Triton's Python backend: images in, logits out; in half precision where there is a GPU."""

from __future__ import annotations

import json
import sys

import triton_python_backend_utils as pb_utils

# cuDNN plans anew for each size of a batch, for tenths of a second: on a GPU only multiples of this occur.
STEP = 8


class TritonPythonModel:
    """One instance of the network; the name and the methods are those Triton looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Make the network and run it on batches of all sizes that will occur."""
        config = json.loads(args["model_config"])
        # Last on the path: all else, numpy above all (Triton's backend needs it below 2), stays the service's.
        sys.path.append(config["parameters"]["torch"]["string_value"])
        global torch  # not at the top: the path is not there yet, and Triton imports this file once more for the config
        import torch
        from nets import SHAPE, network

        gpu = torch.cuda.is_available()
        self.device = "cuda" if gpu else "cpu"
        self.type = torch.float16 if gpu else torch.float32
        self.step = STEP if gpu else 1
        self.network = network(config["name"]).to(self.device, self.type, memory_format=torch.channels_last)
        # Pinned: the copy to the GPU is several times as fast from there.
        self.images = torch.zeros((config["max_batch_size"], *SHAPE), pin_memory=gpu)
        for size in range(self.step, len(self.images) + 1, self.step) if gpu else ():
            self.logits(size)

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton batched, in one run."""
        parts = [
            torch.from_numpy(pb_utils.get_input_tensor_by_name(request, "image").as_numpy()) for request in requests
        ]
        sizes = [len(part) for part in parts]
        torch.cat(parts, out=self.images[: sum(sizes)])
        logits = self.logits(sum(sizes)).split(sizes)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("logits", part.numpy())]) for part in logits]

    def logits(self, count: int) -> torch.Tensor:
        """Run the network on the first `count` images; what fills the batch up to the next step is not looked at."""
        with torch.inference_mode():
            batch = self.images[: -(-count // self.step) * self.step].to(self.device, non_blocking=True)
            batch = batch.to(self.type, memory_format=torch.channels_last)
            return self.network(batch)[:count].float().cpu()
