"""How a case is put into an HTTP request, and an answer read: as a script of one's own has it, or as Triton has it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import requests

from .cases import Array, Case


class Request(NamedTuple):
    """One POST."""

    path: str
    body: bytes
    headers: dict[str, str]


class Dialect(NamedTuple):
    """ask: make the request. read: the probabilities in its answer."""

    ask: Callable[[Case], Request]
    read: Callable[[Case, requests.Response], Array]


def ask_plainly(case: Case) -> Request:
    """Send the body as it is."""
    return Request("/score", case.body, {"Content-Type": case.content_type})


def read_plainly(case: Case, response: requests.Response) -> Array:
    """{"probabilities": [[…]]}, or its float32 as bytes."""
    if case.binary:
        return np.frombuffer(response.content, "<f4").reshape(1, -1)
    return np.array(response.json()["probabilities"], np.float32)


def ask_as_v2(case: Case) -> Request:
    """The Open Inference Protocol; binary: with its binary tensor extension, both ways.

    Source: triton-inference-server/server, docs/protocol/extension_binary_data.md.
    """
    path = f"/v2/models/{case.model}/infer"
    tensor: dict[str, Any] = {"name": "image", "shape": list(case.image.shape), "datatype": "FP32"}
    if not case.binary:
        body = json.dumps({"inputs": [tensor | {"data": case.content}]}).encode()
        return Request(path, body, {"Content-Type": "application/json"})
    tensor["parameters"] = {"binary_data_size": len(case.body)}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Request(path, head + case.body, headers)


def read_as_v2(case: Case, response: requests.Response) -> Array:
    """The one output of a v2 answer."""
    if case.binary:
        head = int(response.headers["Inference-Header-Content-Length"])
        return np.frombuffer(response.content[head:], "<f4").reshape(1, -1)
    return np.array(response.json()["outputs"][0]["data"], np.float32).reshape(1, -1)


PLAIN = Dialect(ask_plainly, read_plainly)
V2 = Dialect(ask_as_v2, read_as_v2)
