# mypy: ignore-errors
# torch is not installed where mypy runs.
"""The networks, alike wherever they are made. Imported by the benchmark, and by model.py, beside which it is copied."""

import torch

try:
    from torchvision import models
except RuntimeError:
    # PyPI's torchvision is built for CUDA. Beside a torch without it, it has no operators and misses the names of two;
    # these networks use neither.
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

NAMES = ("resnet50", "densenet121")
SHAPE = (3, 224, 224)  # of an image: 602,112 bytes as float32
CLASSES = 1000


def network(name: str) -> torch.nn.Module:
    """Make the network, in float32 on the CPU, its weights random but always the same."""
    torch.manual_seed(0)
    return getattr(models, name)(weights=None).eval()
