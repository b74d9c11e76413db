"""What a model repository holds, and whether the Triton at hand can serve it.

What nobody can serve is said in one line on stderr, with exit code 3: starting again does not help.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import NoReturn

MISCONFIGURED = 3

EMBEDDED_BACKENDS = {"onnxruntime", "onnxruntime_onnx", "python", "ensemble"}
SAVED_MODEL = {"tensorflow", "tensorflow_savedmodel"}
GRAPH_DEF = "tensorflow_graphdef"
NVIDIA_IMAGE = "nvcr.io/nvidia/tritonserver"
LAST_WITH_TENSORFLOW = f"{NVIDIA_IMAGE}:25.02-py3"
# What Triton looks for in a version directory, in its order: the first decides on the platform if no config.pbtxt does.
# Source: AutoCompleteBackendFields in triton-inference-server/core, src/model_config_utils.cc, as of 2026.
MODEL_FILES = {
    "model.savedmodel": ("tensorflow_savedmodel", "a TensorFlow SavedModel"),
    "model.graphdef": (GRAPH_DEF, "a TensorFlow GraphDef"),
    "model.plan": ("tensorrt_plan", "a TensorRT plan"),
    "model.onnx": ("onnxruntime_onnx", "an ONNX model"),
    "model.xml": ("openvino", "an OpenVINO model"),
    "model.pt": ("pytorch_libtorch", "a TorchScript model"),
    "model.py": ("python", "a Python model"),
    "model.dali": ("dali", "a DALI pipeline"),
}
# Where a config.pbtxt names the backend or platform; other backends have rules of their own.
FILE_OF_BACKEND = {
    "onnxruntime": "model.onnx",
    "onnxruntime_onnx": "model.onnx",
    "python": "model.py",
    **dict.fromkeys(SAVED_MODEL, "model.savedmodel"),
}
# Triton starts the Python backend's stub with `bash -c` and does not quote the paths: with a space in one, it hangs.
UNSAFE = re.compile(r"[^\w./+,:=@%~-]")


def check_repository(repository: Path) -> None:
    """Exit if the repository cannot be read or has no model; warn of files that are not where Triton looks for them."""
    for path in (repository, *repository.rglob("*")):
        if path.exists() and not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
            stop(
                f"{path} cannot be read by user {os.getuid()}, who runs this service. "
                f"Allow it, for example: chmod -R a+rX {repository}"
            )
    allowed = os.environ.get("ALLOW_NO_MODELS") == "on"
    if not repository.is_dir() or not (models(repository) or allowed):
        problem = "has no model" if repository.is_dir() else "does not exist"
        stop(
            f"The model repository {repository} {problem}. Put a model at {repository}/<model>/1/model.onnx, "
            "or set MODEL_DIR to the directory of your models, or TRITON=off to run without Triton."
        )
    for misplaced in sorted(repository.glob("*/[0-9]*/config.pbtxt")):
        say(f"Triton does not read {misplaced}. It belongs one directory up: {misplaced.parent.parent}/config.pbtxt.")
    for model in models(repository):
        warn_of_missing_model_file(model)


def warn_of_missing_model_file(model: Path) -> None:
    """Warn if the model has no version directory, or no version has a file of the name that Triton takes.

    Triton's own line, "Could not determine backend", does not say what is missing. Whether the service goes on without
    the model is not decided here.
    """
    config = config_text(model)
    if "cc_model_filenames" in config:  # a file for each kind of GPU
        return
    _, backend, _ = what_decides(model)
    named = re.search(r"""^[^#\n]*?\bdefault_model_filename\s*:\s*["']([^"']+)""", config, re.MULTILINE)
    wanted = named[1] if named else FILE_OF_BACKEND.get(backend, "*" if backend else "model.*")
    example = "model.onnx" if "*" in wanted else wanted
    # Triton passes over directories of other names, and over those whose number begins with 0.
    versions = [path for path in model.glob("[1-9]*") if path.name.isdecimal() and path.is_dir()]
    if not versions:
        say(
            f"Triton cannot load {model}: it has no version directory, whose name is a number from 1 on. "
            f"Put the model at {model}/1/{example}; if this is no model, its directory belongs elsewhere."
        )
    elif wanted != "*" and not any((path / wanted).exists() or any(path.glob(wanted)) for path in versions):
        latest = max(versions, key=lambda path: int(path.name))
        files = ", ".join(sorted(path.name for path in latest.iterdir())) or "nothing"
        say(
            f"Triton cannot load {model}: it looks for {latest}/{example}, and there is {files}. Rename the file, or "
            f"write its name as default_model_filename, and its backend, into {model}/config.pbtxt."
        )


def check_native_can_serve(repository: Path, backends: Path) -> None:
    """Exit if a model of the repository is TensorFlow's, but this Triton is one of those that came without."""
    if not backends.is_dir() or (backends / "tensorflow").exists():
        return
    for model in models(repository):
        file, platform, kind = what_decides(model)
        if platform in {*SAVED_MODEL, GRAPH_DEF}:
            ours = "" if platform == GRAPH_DEF else "Put Scoregate's there (embedded/README.md says how), or "
            stop(
                f"{file} is {kind}, but there is no {backends}/tensorflow: NVIDIA's images have none since 25.03. "
                f"{ours}use {LAST_WITH_TENSORFLOW}."
            )


def check_embedded_can_serve(repository: Path) -> None:
    """Exit if a model of the repository needs the container's Triton, or has a name that the stub cannot be given."""
    for model in models(repository):
        file, platform, kind = what_decides(model)
        if platform in SAVED_MODEL:
            if not importlib.util.find_spec("tensorflow"):
                stop(
                    f"{file} is {kind}, and this Python has no TensorFlow. Install requirements-tensorflow.txt, "
                    f"or use a container image that has it ({LAST_WITH_TENSORFLOW} was NVIDIA's last)."
                )
        elif platform and platform not in EMBEDDED_BACKENDS:
            image = LAST_WITH_TENSORFLOW if platform == GRAPH_DEF else f"{NVIDIA_IMAGE}:<release>-py3"
            stop(
                f"{file} is {kind}: the Triton in the pip wheel serves only ONNX, TensorFlow SavedModels and Python. "
                f"Use the container image, built on {image}."
            )
        if UNSAFE.search(model.name):
            stop(f"Triton's Python backend cannot start {model}: rename it to letters, digits, '-', '_' and '.'.")


def what_decides(model: Path) -> tuple[Path, str, str]:
    """The file that tells Triton what can serve the model, that backend or platform, and what to call the file.

    The backend is empty if no file tells.
    """
    declared = re.search(r"""^[^#\n]*?\b(backend|platform)\s*:\s*["']([^"']+)""", config_text(model), re.MULTILINE)
    if declared:
        return model / "config.pbtxt", declared[2], f"for {declared[1]} {declared[2]!r}"
    for version in sorted(model.glob("[0-9]*")):
        for name, (platform, kind) in MODEL_FILES.items():
            if (version / name).exists():
                return version / name, platform, kind
    return model, "", ""


def config_text(model: Path) -> str:
    """The model's config.pbtxt; empty if there is none."""
    config = model / "config.pbtxt"
    return config.read_text() if config.is_file() else ""


def models(repository: Path) -> list[Path]:
    """The directories of the repository's models."""
    return sorted(path for path in repository.iterdir() if path.is_dir() and not path.name.startswith("."))


def stop(problem: str) -> NoReturn:
    """Exit for what only a person can put right."""
    say(problem)
    sys.exit(MISCONFIGURED)


def say(line: str) -> None:
    """Write one line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201
