"""Puts our classes where scripts import tritonclient's from."""

import warnings

import tritonclient.http  # type: ignore[import-untyped]

from .client import InferenceServerClient
from .server import TritonServer
from .shared_memory import Regions
from .tensors import InferAsyncRequest, InferInput, InferResult


def hand_to_scripts(triton: TritonServer | None, instance: str) -> None:
    """Put them into tritonclient.http, and into tritonhttpclient, its name until 2021.

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
    # Of these modules the second is where tritonclient's own code looks.
    for module in (tritonclient.http, tritonclient.http._client, tritonhttpclient):
        vars(module).update({each.__name__: each for each in ours})
