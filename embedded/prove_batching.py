"""Tell which ONNX models of a repository may be batched: python3 embedded/prove_batching.py <repository>.

For a Triton whose own ONNX Runtime backend batches without proof, as in NVIDIA's image. Needs the package onnxruntime.
The exit code is 1 if a model must not be batched, and 2 if none was looked at.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, NoReturn

BACKENDS = Path(__file__).resolve().parent / "backends"
sys.path[:0] = [str(BACKENDS / "python_based"), str(BACKENDS / "onnxruntime")]


def stop(problem: str) -> NoReturn:
    """Exit without having looked at any model."""
    print(problem, file=sys.stderr)  # noqa: T201
    sys.exit(2)


if not importlib.util.find_spec("onnxruntime"):
    stop("This Python has no package onnxruntime. Install it: pip install onnxruntime")

from batching_proof import CannotTry, reason_against_batching  # noqa: E402
from model_signature import CannotServe, Signature  # noqa: E402
from onnx_model import RUN_ERRORS, OnnxModel  # noqa: E402


def main() -> None:
    """Write a line for each version of each model."""
    if len(sys.argv) != 2 or not (paths := sorted(Path(sys.argv[1]).glob("*/[0-9]*/*.onnx"))):
        stop("Name a model repository with ONNX models: python3 embedded/prove_batching.py <repository>")
    all_may_be_batched = True
    for path in paths:
        may_be_batched, verdict = prove(path)
        all_may_be_batched &= may_be_batched
        print(f"{path}: {verdict}", flush=True)  # noqa: T201
    sys.exit(0 if all_may_be_batched else 1)


def prove(path: Path) -> tuple[bool, str]:
    """Give whether nothing speaks against batching, as Triton's own backend decides on it, and a sentence."""
    try:
        model = OnnxModel(path.parents[1].name, path)
        if not model.signature.can_batch():
            return True, "Triton does not batch it: not every input and output has an open first dimension."
        row_shapes = model.signature.row_shapes({"input": []})
        reason = reason_against_batching(model.signature, row_shapes, model.try_run, RUN_ERRORS)
    except CannotServe as error:
        return True, str(error)
    except CannotTry as error:
        return True, f"not proved: {error}."
    if not reason:
        return True, "proved, may be batched."
    return False, f"must not be batched: {reason}. Write into its config.pbtxt: {unbatched(model.signature)}"


def unbatched(signature: Signature) -> str:
    """Write down the whole shapes, which Triton takes for a model that does not batch."""
    config: dict[str, Any] = {"input": [], "output": []}
    signature.complete(config, 0)
    return " ".join(
        f'{kind} {{ name: "{entry["name"]}" data_type: {entry["data_type"]} dims: {entry["dims"]} }}'
        for kind in ("input", "output")
        for entry in config[kind]
    )


if __name__ == "__main__":
    main()
