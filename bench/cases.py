"""What is asked: a model and the body of one request, the same for every row, with the right answer."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from .models import MID_SHAPE, model_directory
from .venvs import BENCH

Array = npt.NDArray[np.float32]
DIGITS_REQUEST = BENCH.parent / "examples" / "digits" / "request.json"


@dataclass(frozen=True)
class Case:
    """One model, one form of body.

    model_directory: a MODEL_DIR. connections: how many callers ask at once, a cell each. content: the one input as
    nested lists, or None for a user's own request.
    """

    model: str
    binary: bool
    connections: tuple[int, ...]
    model_directory: Path
    body: bytes
    content_type: str
    content: Any = None

    @property
    def name(self) -> str:
        """Say it for people."""
        return f"{self.model}, {'binary' if self.binary else 'JSON'}"

    @property
    def onnx(self) -> Path:
        """The model's file."""
        return self.model_directory / "triton" / self.model / "1" / "model.onnx"

    @cached_property
    def image(self) -> Array:
        """The input, as [1, ...] float32."""
        return np.array(self.content, np.float32)

    @cached_property
    def probabilities(self) -> Array:
        """The answer that ONNX Runtime itself gives."""
        session = onnxruntime.InferenceSession(self.onnx, providers=["CPUExecutionProvider"])
        (answer,) = session.run(["probabilities"], {"image": self.image})
        return np.asarray(answer, np.float32)


def digits(connections: tuple[int, ...]) -> Case:
    """64 small numbers as JSON: what a request costs beside the model."""
    body = DIGITS_REQUEST.read_bytes()
    content = json.loads(body)["data"]
    return Case("digits", False, connections, model_directory("digits"), body, "application/json", content)


def mid(connections: tuple[int, ...], binary: bool) -> Case:
    """12,288 numbers as JSON of six digits each, or as 49,152 bytes of little-endian float32."""
    image = np.random.default_rng(0).standard_normal(MID_SHAPE)
    content = [float(f"{number:.6g}") for number in image.flat]
    content = np.array(content).reshape(MID_SHAPE).tolist()
    directory = model_directory("mid")
    if binary:
        body = np.array(content, "<f4").tobytes()
        return Case("mid", True, connections, directory, body, "application/octet-stream", content)
    return Case(
        "mid", False, connections, directory, json.dumps({"data": content}).encode(), "application/json", content
    )


def mean(body_bytes: int) -> Case:
    """So many bytes of float32, for which the model does next to nothing."""
    return Case("mean", True, (), model_directory("mean"), bytes(body_bytes), "application/octet-stream")


def own(model: str, directory: Path, request: Path, content_type: str, connections: tuple[int, ...]) -> Case:
    """A user's model and request."""
    return Case(model, "json" not in content_type, connections, directory, request.read_bytes(), content_type)
