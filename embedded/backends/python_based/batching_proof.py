"""Whether rows of different requests may be run together: proved on synthetic rows before a model is batched."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from model_signature import Array, Signature, Tensor

MAX_SECONDS = 5
# The levels of the rows that are run apart, the first and the others, and then together; and the size of each dimension
# that is open besides the batch. A row is its level plus noise, so that rows differ as wholes. The first level lies
# between others, so that sorting shows, upwards and downwards. Networks for images often halve the size five times.
TRIALS = (((1, 2, 0), 32), ((1, 3, 0, 2), 64))
MAX_NUMBERS = 1 << 24  # of one input; 64 MiB of float32
# By which values may differ, as part of the range of the output: models quantised to int8 as they run differ by 0.003,
# by more where all rows are answered nearly alike. So the range is that of both trials.
SAME = 0.02
ROUNDING = {"float16": 5e-3}  # as part of the largest value, where all are nearly the same; 1e-5 for all other types
NO_NAMES = {"", "?", "-1", "None"}  # what some exporters write where they know no name for a dimension

Run = Callable[[list[str], dict[str, Array], float], list[Array]]


class CannotTry(ValueError):
    """The model cannot be run on synthetic rows."""


def complete(
    config: dict[str, Any],
    signature: Signature,
    default_max_batch_size: int,
    run: Run,
    run_errors: tuple[type[Exception], ...],
) -> None:
    """Complete config; a model that does not say whether it batches does so if that is proved, or cannot be tried.

    run, run_errors: as those of ServedModel; run is told, too, after how many seconds it may be given up.
    """
    own = config["max_batch_size"]
    can_batch = signature.can_batch()
    size = own or (default_max_batch_size if can_batch and signature.leaves_batching_open(config) else 0)
    # With an own max_batch_size of 1 no rows of different requests meet. A sequence's rows depend on those before.
    if can_batch and size > (1 if own else 0) and "sequence_batching" not in config:
        model = f"Model {signature.model!r}"
        try:
            reason = reason_against_batching(signature, signature.row_shapes(config), run, run_errors)
        except CannotTry as error:
            if not own:
                _say(
                    f"{model} is batched, though not proved to give each row its own answer: {error}. "
                    f"If it does not, write the data_type and dims of all inputs and outputs into its config.pbtxt."
                )
        else:
            if reason and own:
                _say(
                    f"{model}: its config.pbtxt gives max_batch_size {own}, but requests that are run together get "
                    f"wrong answers: {reason}. Leave max_batch_size out."
                )
            elif reason:
                size = 0
                _say(
                    f"{model} is not batched: {reason}. "
                    f"To batch it all the same, write max_batch_size into its config.pbtxt."
                )
    signature.complete(config, size)


def reason_against_batching(
    signature: Signature, row_shapes: dict[str, list[int]], run: Run, run_errors: tuple[type[Exception], ...]
) -> str:
    """Tell why rows of different requests must not be run together; empty if they may. Raises CannotTry.

    row_shapes: of the inputs, without the batch dimension; -1 where open.
    """
    if reason := _named_elsewhere(signature):
        return reason
    random = np.random.default_rng(0)
    end = time.monotonic() + MAX_SECONDS
    apart: dict[str, list[Array]] = {name: [] for name in signature.outputs}
    together: dict[str, list[Array]] = {name: [] for name in signature.outputs}
    untried = None
    try:
        for levels, size in TRIALS:
            feed = {
                name: _rows(random, tensor, [size if dim == -1 else dim for dim in row_shapes[name]], levels)
                for name, tensor in signature.inputs.items()
            }
            shapes: dict[str, tuple[int, ...]] = {}
            for rows in (slice(0, 1), slice(1, None), slice(None)):
                outputs = _run(run, run_errors, list(apart), {name: array[rows] for name, array in feed.items()}, end)
                count = len(levels[rows])
                for name, output in outputs.items():
                    if output.shape[:1] != (count,):
                        rows_run = f"{count} rows" if count > 1 else "1 row"
                        return f"output {name!r} has shape {list(output.shape)} for {rows_run}"
                    shape = shapes.setdefault(name, output.shape[1:])
                    if output.shape[1:] != shape:
                        return (
                            f"a row of output {name!r} has shape {list(shape)} if run alone, "
                            f"and {list(output.shape[1:])} in a run of {count} rows"
                        )
                    (together if count == len(levels) else apart)[name].append(output.ravel())
    except CannotTry as error:
        untried = error  # but what has been tried may tell
    for name in signature.outputs:
        tried = sum(map(len, together[name]))
        if tried and not _agree(np.concatenate(apart[name])[:tried], np.concatenate(together[name])):
            return f"output {name!r} has other values for rows run together than for the same rows run apart"
    if untried:
        raise untried
    return ""


def _run(
    run: Run, run_errors: tuple[type[Exception], ...], names: list[str], feed: dict[str, Array], end: float
) -> dict[str, Array]:
    too_slow = f"6 runs on synthetic rows take longer than {MAX_SECONDS} s"
    if (seconds := end - time.monotonic()) <= 0:
        raise CannotTry(too_slow)
    try:
        return dict(zip(names, run(names, feed, seconds), strict=True))
    except CannotTry:
        raise
    except (*run_errors, ValueError) as error:
        if time.monotonic() > end:
            raise CannotTry(too_slow) from error
        first_line = str(error).strip().partition("\n")[0]
        raise CannotTry(f"it fails on synthetic rows: {first_line}") from error


def _named_elsewhere(signature: Signature) -> str:
    names = {tensor.dimension_names[0] for tensor in signature.inputs.values() if tensor.dimension_names} - NO_NAMES
    for name, tensor in signature.outputs.items():
        for place, dimension in enumerate(tensor.dimension_names):
            if place and dimension in names:
                return f"{dimension!r}, an input's first dimension, is dimension {place + 1} of output {name!r}"
    return ""


def _rows(random: np.random.Generator, tensor: Tensor, shape: list[int], levels: tuple[int, ...]) -> Array:
    """A row for each level: numbers from 0 to 1, whole numbers that are 0 or, the more often the higher it is, 1."""
    count = len(levels)
    if count * math.prod(shape) > MAX_NUMBERS:
        raise CannotTry(f"a row of shape {shape} is too large to be tried")
    noise = random.random((count, *shape), np.float32)
    level = np.array(levels, np.float32).reshape(count, *[1] * len(shape))
    numbers = (level + noise) / count
    kind = tensor.data_type.removeprefix("TYPE_").lower().replace("fp", "float")
    if kind == "string":
        return np.array([b"%d" % int(number * 10) for number in numbers.flat], object).reshape(numbers.shape)
    return (numbers if kind.startswith("float") else noise < level / (count - 1)).astype(kind)


def _agree(apart: Array, together: Array) -> bool:
    if apart.dtype == object:
        return np.array_equal(apart, together)
    rounding = ROUNDING.get(apart.dtype.name, 1e-5)
    apart, together = apart.astype(np.float64), together.astype(np.float64)
    finite = apart[np.isfinite(apart)]
    if not finite.size:
        return np.array_equal(apart, together, equal_nan=True)
    tolerance = SAME * np.ptp(finite) + rounding * np.abs(finite).max()
    return np.allclose(apart, together, rtol=0, atol=tolerance, equal_nan=True)


def _say(line: str) -> None:
    # Triton's own logger is not there yet while the config is completed.
    print(line, file=sys.stderr, flush=True)  # noqa: T201
