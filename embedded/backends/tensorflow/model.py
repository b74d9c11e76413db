"""Triton's TensorFlow backend, which its images lost with release 25.03: a Python-based one over pip's TensorFlow."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from batching_proof import CannotTry, complete
from model_signature import Array, CannotServe, Signature, Tensor
from served_model import ServedModel, default_max_batch_size, model_path


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    stderr = sys.stderr.fileno()
    kept = os.dup(stderr)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stderr)
    try:
        yield
    finally:
        os.dup2(kept, stderr)
        os.close(kept)


os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # what it logs as an error it raises too
gc.disable()  # looking for garbage among what TensorFlow creates took 0.8 s of the 3.7 s of its import
with _silent_stderr():  # the level does not keep TensorFlow 2.21 from saying twice that oneDNN is on
    import tensorflow as tf
    from tensorflow.python.saved_model import load_v1_in_v2
gc.freeze()  # and 0.9 s at the end of the process
gc.enable()
tf.get_logger().setLevel("ERROR")

DATA_TYPES = {
    tf.bool: "TYPE_BOOL",
    tf.uint8: "TYPE_UINT8",
    tf.uint16: "TYPE_UINT16",
    tf.uint32: "TYPE_UINT32",
    tf.uint64: "TYPE_UINT64",
    tf.int8: "TYPE_INT8",
    tf.int16: "TYPE_INT16",
    tf.int32: "TYPE_INT32",
    tf.int64: "TYPE_INT64",
    tf.float16: "TYPE_FP16",
    tf.float32: "TYPE_FP32",
    tf.float64: "TYPE_FP64",
    tf.string: "TYPE_STRING",
}
RUN_ERRORS = (tf.errors.OpError, TypeError)
LOAD_ERRORS = (tf.errors.OpError, OSError, ValueError, KeyError, AttributeError)
CHANGES_STATE = re.compile(r"Assign|ResourceScatter|LookupTable(Import|Insert|Remove)")


class SavedModel:
    """One serving signature of a SavedModel directory."""

    def __init__(self, model: str, directory: Path) -> None:
        """Raise CannotServe if TensorFlow cannot load the directory, or Triton has no word for its tensors."""
        self.function = _serving_signature(model, directory, _load(model, directory).signatures)
        self.specs = self.function.structured_input_signature[1]
        self.signature = Signature(
            model, _tensors(model, "input", self.specs), _tensors(model, "output", self.function.structured_outputs)
        )

    def run(self, names: list[str], feed: dict[str, Array]) -> list[Array]:
        """The outputs of these names."""
        outputs = self.function(
            **{name: tf.convert_to_tensor(array, self.specs[name].dtype) for name, array in feed.items()}
        )
        # A scalar's numpy() is no array, and a string's is bytes.
        return [np.asarray(outputs[name].numpy(), outputs[name].dtype.as_numpy_dtype) for name in names]

    def try_run(self, names: list[str], feed: dict[str, Array], _seconds: float) -> list[Array]:
        """The outputs of these names; TensorFlow cannot be told to give up."""
        if operation := _changes_state(self.function.graph):
            raise CannotTry(f"it keeps state from request to request ({operation})")
        return self.run(names, feed)


class TritonPythonModel:
    """One instance of one SavedModel; the name and the methods are those Triton looks for."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: pb_utils.ModelConfig) -> pb_utils.ModelConfig:
        """Complete the config from the serving signature."""
        # In place: ModelConfig's add_input and add_output refuse the `reshape` that a batched vector needs.
        config = auto_complete_model_config.as_dict()
        saved_model = SavedModel(config["name"], model_path())
        complete(config, saved_model.signature, default_max_batch_size(), saved_model.try_run, RUN_ERRORS)
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; raises CannotServe if it cannot be loaded or contradicts its config."""
        config = json.loads(args["model_config"])
        saved_model = SavedModel(config["name"], model_path())
        saved_model.signature.check(config)
        self.model = ServedModel(config, saved_model.signature, saved_model.run, RUN_ERRORS)

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """Answer the requests that Triton batched."""
        return self.model.answer(requests)


def _load(model: str, directory: Path) -> Any:  # noqa: ANN401  TF's is private
    """Load the model with its objects, else, where this TensorFlow cannot make them anew, as TensorFlow 1 did.

    Keras 2 saved optimizers ('_UserObject' object has no attribute 'add_slot'), which serving does not need.
    """
    try:
        return tf.saved_model.load(directory)
    except LOAD_ERRORS as error:
        with contextlib.suppress(*LOAD_ERRORS):
            return load_v1_in_v2.load(str(directory), ["serve"])  # what load() takes for models of TensorFlow 1
        raise CannotServe(f"model {model!r}: TensorFlow cannot load {directory}: {_first_line(error)}") from error


def _changes_state(graph: tf.Graph) -> str:
    """The operation of a signature's graph, or of a function that it calls, that changes a variable or table."""
    definition = graph.as_graph_def()
    functions = {function.signature.name: function.node_def for function in definition.library.function}
    nodes = [*definition.node]
    for node in nodes:  # grows
        if CHANGES_STATE.match(node.op):
            return node.op
        called = {node.op}.union(
            *({value.func.name, *(f.name for f in value.list.func)} for value in node.attr.values())
        )
        nodes += [each for name in called & functions.keys() for each in functions.pop(name)]
    return ""


def _serving_signature(model: str, directory: Path, signatures: dict[str, Any]) -> Any:  # noqa: ANN401  TF's is private
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    has = f"none is 'serving_default', but {', '.join(sorted(signatures))}" if signatures else "it has none"
    raise CannotServe(
        f"model {model!r}: {directory} has no signature to serve: {has}. "
        "Save the model with signatures={'serving_default': <a tf.function with an input_signature>}."
    )


def _tensors(model: str, kind: str, specs: dict[str, tf.TensorSpec]) -> dict[str, Tensor]:
    for name, spec in specs.items():
        if spec.dtype not in DATA_TYPES:
            raise CannotServe(
                f"model {model!r}: {kind} {name!r} is a {spec.dtype.name} tensor, which Triton cannot serve. "
                f"Save the model with tensors of numbers, booleans or strings."
            )
        if spec.shape.rank is None:
            raise CannotServe(
                f"model {model!r}: {kind} {name!r} has an unknown number of dimensions, which Triton cannot serve. "
                f"Give it a shape, with None for open dimensions: in input_signature, or by tf.ensure_shape."
            )
    return {
        name: Tensor(DATA_TYPES[spec.dtype], tuple(-1 if size is None else size for size in spec.shape))
        for name, spec in specs.items()
    }


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
