"""Whether a server answers what torch itself computes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch  # type: ignore[import-not-found]

from ..cases import Array, Case
from ..dialects import Dialect
from ..rows import NotRun
from ..servers import post
from .asking import images, of_image
from .nets import network

AT_ONCE = 4
# As part of the spread of the right logits. Half precision is off by 0.003, the answer to another image by 0.5.
TOLERANCE = 0.02


def expected(model: str) -> Array:
    """Let torch answer for the images, in float32 on the CPU."""
    with torch.inference_mode():
        return np.asarray(network(model)(torch.from_numpy(images(AT_ONCE))).numpy(), np.float32)


def check(port: int, dialect: Dialect, case: Case, right: Array) -> float:
    """Ask for all images at once; gives the largest deviation, as part of the spread of the logits.

    right: what expected() gave. Raises NotRun if one is off by more than TOLERANCE.
    """

    def ask(image: Array) -> Array:
        asked = of_image(case, image)
        response = post(port, dialect.ask(asked))
        if response.status_code != 200:
            raise NotRun(f"status {response.status_code}: {response.text[:200]}")
        return dialect.read(asked, response)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = np.concatenate(list(pool.map(ask, images(AT_ONCE))))
    deviation = float(np.abs(answers - right).max() / right.std())
    if not deviation <= TOLERANCE:  # also if it is no number
        raise NotRun(f"wrong answer, off by {deviation:.3f} of the logits' spread")
    return deviation
