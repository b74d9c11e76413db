"""Triton as this service sees it; the only importer of tritonclient."""

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from .client import InferenceServerClient, explain, hand_to_scripts
from .model import TritonModel
from .process import restart
from .server import ModelState, TritonServer

__all__ = [
    "InferenceServerClient",
    "InferenceServerException",
    "ModelState",
    "TritonModel",
    "TritonServer",
    "explain",
    "hand_to_scripts",
    "restart",
]
