"""How busy the GPU is, by its driver."""

import threading
from statistics import mean
from typing import Any, Self

import pynvml  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]

EVERY_S = 0.1


class Busy:
    """The GPU's busy time while the block runs: `share` of it, 0 to 1, is known when the block is left.

    It is NVML's utilisation: the part of a short while in which some kernel ran, however small.
    """

    share = 0.0

    def __enter__(self) -> Self:
        pynvml.nvmlInit()
        self._gpu = _handle()
        self._samples: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.share = mean(self._samples) / 100 if self._samples else 0.0
        pynvml.nvmlShutdown()

    def _sample(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._samples.append(pynvml.nvmlDeviceGetUtilizationRates(self._gpu).gpu)


def description() -> dict[str, str]:
    """Describe the GPU and what drives it."""
    pynvml.nvmlInit()
    told = {
        "GPU": str(pynvml.nvmlDeviceGetName(_handle())),
        "driver": str(pynvml.nvmlSystemGetDriverVersion()),
        "torch": str(torch.__version__),
    }
    pynvml.nvmlShutdown()
    return told


def _handle() -> Any:  # noqa: ANN401 - NVML's
    """Find the GPU by its name: CUDA_VISIBLE_DEVICES changes the numbers that torch sees, not those of NVML."""
    return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
