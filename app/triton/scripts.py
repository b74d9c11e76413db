"""Puts our classes where scripts import tritonclient's from."""

import importlib.machinery
import sys
import warnings
from types import ModuleType
from typing import Any

import tritonclient.http  # type: ignore[import-untyped]

from . import old_name
from .admin import TritonServer
from .aio import client_for
from .client import InferenceServerClient
from .shared_memory import Regions
from .upstream_types import InferAsyncRequest, InferInput, InferResult

AIO = "tritonclient.http.aio"


def install(triton: TritonServer | None, instance: str) -> None:
    """Put them into tritonclient.http, into its aio, and into tritonhttpclient, its name until 2021.

    triton: that of this service, or None when it runs without: the customary address stays.
    instance: what the names of the memory shared with it begin with.
    """
    # Importing the old names warns, through a filter of their own that outdoes "ignore"; so they are recorded.
    with warnings.catch_warnings(record=True):
        import tritonclientutils  # type: ignore[import-untyped]  # noqa: F401
        import tritonhttpclient  # type: ignore[import-untyped]
    if triton:
        InferenceServerClient.service_url = triton.url
        InferenceServerClient.wanted = triton.wanted
        Regions.instance = instance
    ours = [InferenceServerClient, InferInput, InferResult, InferAsyncRequest]
    for module in (tritonclient.http, tritonclient.http._client):  # of which the second is where its own code looks
        vars(module).update({each.__name__: each for each in ours})
    vars(tritonhttpclient).update(
        InferenceServerClient=old_name.InferenceServerClient, InferResult=old_name.InferResult, InferInput=InferInput
    )
    if AIO in sys.modules:
        _hand_over_aio(sys.modules[AIO])
    else:
        sys.meta_path.insert(0, _AioFinder())


def _hand_over_aio(module: ModuleType) -> None:
    vars(module).update(InferenceServerClient=client_for(module.InferenceServerClient), InferResult=InferResult)


class _AioFinder(importlib.machinery.PathFinder):
    """Waits for a script to import tritonclient.http.aio: that takes 0.2 s and 11 MiB, which few scripts want."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:  # noqa: ANN401 - as upstream's
        if fullname != AIO:
            return None
        spec = super().find_spec(fullname, path, target)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_hand_over(module: ModuleType) -> None:
                execute(module)
                _hand_over_aio(module)

            spec.loader.exec_module = execute_and_hand_over  # type: ignore[method-assign]
        return spec
