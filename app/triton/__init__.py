"""Triton as this service sees it; the only importer of tritonclient."""

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from .client import Dead, InferenceServerClient, explain, hand_to_scripts
from .model import TritonModel
from .process import process_id, restart
from .server import ModelState, TritonServer

__all__ = [
    "Dead",
    "InferenceServerClient",
    "InferenceServerException",
    "ModelState",
    "TritonModel",
    "TritonServer",
    "explain",
    "hand_to_scripts",
    "process_id",
    "restart",
]
