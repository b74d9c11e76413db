"""Triton's ONNX Runtime backend for the pip wheel, which has none: a Python-based backend over pip's onnxruntime."""

from __future__ import annotations

import json
from typing import Any

import triton_python_backend_utils as pb_utils
from batching_proof import complete
from model_signature import CannotServe
from onnx_model import RUN_ERRORS, OnnxModel
from served_model import ServedModel, default_max_batch_size, model_path


class TritonPythonModel:
    """One instance of one ONNX model; the name and the methods are those Triton looks for."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        """Complete the config from the ONNX file."""
        # In place: ModelConfig's add_input and add_output refuse the `reshape` that a batched vector needs.
        config = auto_complete_model_config.as_dict()
        model = _load(config)
        complete(config, model.signature, default_max_batch_size(), model.try_run, RUN_ERRORS)
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; raises CannotServe if it cannot be loaded or contradicts its config."""
        config = json.loads(args["model_config"])
        model = _load(config)
        model.signature.check(config)
        self.model = ServedModel(config, model.signature, model.run, RUN_ERRORS)

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton batched."""
        return self.model.answer(requests)


def _load(config: dict[str, Any]) -> OnnxModel:
    threads = [_thread_count(config, f"{kind}_op_thread_count") for kind in ("intra", "inter")]
    return OnnxModel(config["name"], model_path(), *threads)


def _thread_count(config: dict[str, Any], parameter: str) -> int:
    value = config["parameters"].get(parameter, {"string_value": "0"})["string_value"]
    if not value.isdecimal():
        raise CannotServe(f"model {config['name']!r}: parameter {parameter} is {value!r}, which is not a count.")
    return int(value)
