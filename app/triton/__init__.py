"""Triton as this service sees it; the only importer of tritonclient."""

from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from .admin import TritonServer
from .client import InferenceServerClient
from .failures import Dead, explain
from .model import TritonModel
from .probe import Probe
from .scripts import install
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
    "install",
]
