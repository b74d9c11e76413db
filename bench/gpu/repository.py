"""Triton's model repository with the networks in it."""

import shutil
from pathlib import Path

import torch  # type: ignore[import-not-found]

from ..models import BUILD
from .nets import CLASSES, NAMES, SHAPE

HERE = Path(__file__).parent
MAX_BATCH_SIZE = 64
# KIND_CPU: tensors reach Python in the CPU's memory, and model.py finds the GPU itself, so that any Triton will do,
# also one without CUDA. Two instances: while one has the GPU, the other's batch is copied.
CONFIG = """backend: "python"
max_batch_size: {max_batch_size}
input {{ name: "image" data_type: TYPE_FP32 dims: {shape} }}
output {{ name: "logits" data_type: TYPE_FP32 dims: [{classes}] }}
dynamic_batching {{ }}
instance_group {{ kind: KIND_CPU count: {instances} }}
parameters {{ key: "torch" value {{ string_value: "{torch}" }} }}
"""


def lay_out() -> Path:
    """Write it anew; gives the MODEL_DIR that it is the triton/ of.

    The models get the directory of this process's torch. The service's own Python, which runs them, has none, and is
    to have none: it is measured as its users install it.
    """
    directory = BUILD / "gpu"
    for name in NAMES:
        model = directory / "triton" / name
        (model / "1").mkdir(parents=True, exist_ok=True)
        for file in ("model.py", "nets.py"):
            shutil.copy(HERE / file, model / "1")
        config = CONFIG.format(
            max_batch_size=MAX_BATCH_SIZE,
            shape=list(SHAPE),
            classes=CLASSES,
            instances=2 if torch.cuda.is_available() else 1,
            torch=Path(torch.__file__).parent.parent,
        )
        (model / "config.pbtxt").write_text(config)
    return directory
