"""What unit tests share."""

import sys
import warnings
from collections.abc import Callable

import pytest
import tritonclient.http
from scoregate.triton import install as put_in_place

REPLACED = ("InferenceServerClient", "InferInput", "InferResult", "InferAsyncRequest")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put our classes in place of tritonclient's; what was there is put back for the tests of other files."""
    with warnings.catch_warnings(record=True):  # that the name is an old one
        import tritonhttpclient
    for module in (tritonclient.http, tritonclient.http._client, tritonhttpclient):
        for name in REPLACED:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return put_in_place
