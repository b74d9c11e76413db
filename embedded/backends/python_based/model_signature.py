"""What a model takes and gives, in Triton's words: completes the model's config.pbtxt and checks it.

The rules are those of Triton's own ONNX Runtime backend (AutoCompleteConfig, ValidateInputs and ValidateOutputs
in its src/onnxruntime.cc), so that a model served here is served alike in the container.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# What to write for a tensor [N]: N rows of a number each, or one vector. Triton has no empty dims.
NUMBERS = "dims: [ 1 ] reshape { shape: [ ] }"
VECTOR = f"dims: [ -1 ]; or, if that is the batch, max_batch_size and {NUMBERS}"
SCHEDULERS = {"dynamic_batching", "sequence_batching", "ensemble_scheduling"}


class CannotServe(ValueError):
    """The model's file or config.pbtxt has to be changed before Triton can serve the model."""


class BadInput(ValueError):
    """A request holds what the model can never take."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of the model; shape has -1 where the model leaves a dimension open.

    dimension_names: those that the model has for its open dimensions; empty for others.
    """

    data_type: str
    shape: tuple[int, ...]
    dimension_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signature:
    """The tensors of the model with that name, by their own names.

    optional_inputs: those that a caller may leave out, because the model has values for them.
    """

    model: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    optional_inputs: dict[str, Tensor] = field(default_factory=dict)

    def leaves_batching_open(self, config: dict[str, Any]) -> bool:
        """Whether config says neither that the model batches nor that it does not."""
        return not (_is_complete(config) or config["max_batch_size"] or self._has_full_shape(config))

    def can_batch(self) -> bool:
        """Whether each input and output has an open first dimension."""
        return all(tensor.shape[:1] == (-1,) for tensor in [*self.inputs.values(), *self.outputs.values()])

    def row_shapes(self, config: dict[str, Any]) -> dict[str, list[int]]:
        """The inputs' shapes after the batch dimension: those of config, where it has some, else the model's."""
        given = {entry["name"]: _shape(entry) for entry in config["input"] if entry["dims"]}
        return {name: given.get(name, list(tensor.shape[1:])) for name, tensor in self.inputs.items()}

    def complete(self, config: dict[str, Any], max_batch_size: int) -> None:
        """Fill in what config leaves open: batch size, scheduler, tensors, their data types and dims."""
        config["max_batch_size"] = max_batch_size
        # Triton's own backend would leave dynamic batching off where inputs and outputs are given. Whoever gives a
        # max_batch_size wants batches, and without a scheduler each request would be one.
        if max_batch_size > 1 and not SCHEDULERS & config.keys():
            config["dynamic_batching"] = {}
        if _is_complete(config):
            return
        batched = max_batch_size > 0
        control = _control_inputs(config)
        _add_missing(config["input"], {name: tensor for name, tensor in self.inputs.items() if name not in control})
        _add_missing(config["output"], self.outputs)
        _fill_in(config["input"], self.inputs | self.optional_inputs, batched)
        _fill_in(config["output"], self.outputs, batched)

    def check(self, config: dict[str, Any]) -> None:
        """Raise CannotServe if config contradicts the model."""
        batched = config["max_batch_size"] > 0
        if batched and not self.can_batch():
            raise CannotServe(
                f"model {self.model!r}: config.pbtxt gives max_batch_size {config['max_batch_size']}, but the model "
                f"cannot batch: not every input and output has an open first dimension. Leave max_batch_size out."
            )
        self._check_entries("input", config["input"], self.inputs | self.optional_inputs, batched)
        self._check_entries("output", config["output"], self.outputs, batched)
        control = _control_inputs(config)
        if unknown := control - self.inputs.keys():
            raise CannotServe(
                f"model {self.model!r}: config.pbtxt gives control input {min(unknown)!r}, which the model does not "
                f"have. It has {', '.join(sorted(self.inputs))}."
            )
        if missing := self.inputs.keys() - control - {entry["name"] for entry in config["input"]}:
            raise CannotServe(f"model {self.model!r}: config.pbtxt leaves out the model's input {min(missing)!r}.")
        if batched and any(entry.get("optional") for entry in config["input"]):
            raise CannotServe(f"model {self.model!r}: optional inputs need max_batch_size 0.")

    def _has_full_shape(self, config: dict[str, Any]) -> bool:
        tensors = self.inputs | self.outputs
        return any(
            entry["dims"] and entry["name"] in tensors and len(_shape(entry)) == len(tensors[entry["name"]].shape)
            for entry in [*config["input"], *config["output"]]
        )

    def _check_entries(
        self, kind: str, entries: list[dict[str, Any]], tensors: dict[str, Tensor], batched: bool
    ) -> None:
        for entry in entries:
            name = entry["name"]
            where = f"model {self.model!r}: config.pbtxt gives {kind} {name!r}"
            if name not in tensors:
                raise CannotServe(f"{where}, which the model does not have. It has {', '.join(sorted(tensors))}.")
            tensor = tensors[name]
            if entry["data_type"] != tensor.data_type:
                raise CannotServe(f"{where} as {entry['data_type']}, but the model has {tensor.data_type}.")
            expected = tensor.shape[1:] if batched else tensor.shape
            if not _fits(_shape(entry), expected, exactly=kind == "output", scalar=tensor.shape == ()):
                batch = " after the batch dimension (max_batch_size is not 0)" if batched else ""
                hint = "" if tensor.shape != (-1,) else f" Write: {NUMBERS if batched else VECTOR}"
                raise CannotServe(
                    f"{where} with dims {_shape(entry)}, but the model has {list(expected)}{batch}.{hint}"
                )


def _is_complete(config: dict[str, Any]) -> bool:
    """As Triton's own backend does, take inputs and outputs that are given for all there is to say of them."""
    return all(
        bool(entries) and all(entry["dims"] and entry["data_type"] != "TYPE_INVALID" for entry in entries)
        for entries in (config["input"], config["output"])
    )


def _control_inputs(config: dict[str, Any]) -> set[str]:
    """The inputs that Triton itself fills in, such as START and READY of a sequence."""
    return {entry["name"] for entry in config.get("sequence_batching", {}).get("control_input", [])}


def _add_missing(entries: list[dict[str, Any]], tensors: dict[str, Tensor]) -> None:
    given = {entry["name"] for entry in entries}
    entries += [{"name": name, "data_type": "TYPE_INVALID", "dims": []} for name in tensors if name not in given]


def _fill_in(entries: list[dict[str, Any]], tensors: dict[str, Tensor], batched: bool) -> None:
    for entry in entries:
        tensor = tensors.get(entry["name"])
        if tensor is None:
            continue  # `check` refuses it
        if entry["data_type"] == "TYPE_INVALID":
            entry["data_type"] = tensor.data_type
        if not entry["dims"]:
            # Triton has no empty dims: a scalar is [1], and so is each row of a batched vector, which needs a reshape.
            entry["dims"] = list(tensor.shape[1:] if batched else tensor.shape) or [1]
            if batched and len(tensor.shape) == 1:
                entry["reshape"] = {"shape": []}


def _shape(entry: dict[str, Any]) -> list[int]:
    """The shape that reaches the model; a batch dimension comes on top."""
    return list(entry["reshape"]["shape"] if "reshape" in entry else entry["dims"])


def _fits(shape: list[int], expected: tuple[int, ...], *, exactly: bool, scalar: bool) -> bool:
    if scalar:
        return all(size == 1 for size in shape)
    return len(shape) == len(expected) and all(
        size == wanted or (wanted == -1 and not exactly) for size, wanted in zip(shape, expected, strict=True)
    )
