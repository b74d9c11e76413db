"""Triton as this service sees it; the only importer of tritonclient."""

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from .client import InferenceServerClient
from .errors import Dead, explain
from .model import TritonModel
from .probe import Probe
from .scripts import hand_to_scripts
from .server import TritonServer
from .wanted import ModelState

__all__ = [
    "Dead",
    "InferenceServerClient",
    "InferenceServerException",
    "ModelState",
    "Probe",
    "TritonModel",
    "TritonServer",
    "explain",
    "hand_to_scripts",
]
