"""The result that scripts get is the one that tritonclient makes of the same answer."""

import gzip
import json

import numpy as np
import pytest
import tritonclient.http
from scoregate.triton.client import hand_to_scripts
from scoregate.triton.connections import Response
from scoregate.triton.result import InferResult
from tritonclient.utils import serialize_byte_tensor

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
TEXTS = np.array([b"a", b"", "\u00e9".encode()], dtype=np.object_)


def output(name, datatype, shape, **more):
    return {"name": name, "datatype": datatype, "shape": shape, **more}


def binary(name, datatype, shape, size):
    return output(name, datatype, shape, parameters={"binary_data_size": size})


def answer(outputs, *tensors, **headers):
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    sent = {"inference-header-content-length": str(len(head))} if tensors else {}
    return sent | headers, b"".join((head, *tensors))


texts = serialize_byte_tensor(TEXTS).item()
numbers = NUMBERS.tobytes()
binary_headers, plain = answer([binary("n", "FP32", [2, 3], 24)], numbers)

ANSWERS = {
    "binary": answer([binary("n", "FP32", [2, 3], 24)], numbers),
    "several": answer([binary("t", "BYTES", [3], len(texts)), binary("n", "FP32", [2, 3], 24)], texts, numbers),
    "empty": answer([binary("e", "INT64", [0, 4], 0), binary("n", "FP32", [2, 3], 24)], b"", numbers),
    "mixed": answer([output("j", "INT32", [2], data=[1, 2]), binary("n", "FP32", [2, 3], 24)], numbers),
    "no size": answer([output("s", "FP32", [1], data=[0.5], parameters={"classification": 1})], b""),
    "JSON": answer([output("j", "INT32", [2], data=[1, 2])]),
    "compressed": (binary_headers | {"content-encoding": "gzip"}, gzip.compress(plain)),
}


@pytest.mark.parametrize(("headers", "body"), ANSWERS.values(), ids=ANSWERS)
def test_it_is_tritonclients(headers, body):
    ours, theirs = (
        made(Response(200, headers, memoryview(bytearray(body))), False)
        for made in (InferResult, tritonclient.http._infer_result.InferResult)
    )
    assert isinstance(ours, tritonclient.http.InferResult)
    assert ours.get_response() == theirs.get_response()
    for each in theirs.get_response()["outputs"]:
        name = each["name"]
        assert ours.get_output(name) == theirs.get_output(name)
        got, wanted = ours.as_numpy(name), theirs.as_numpy(name)
        assert (got.dtype, got.shape, got.tolist()) == (wanted.dtype, wanted.shape, wanted.tolist())
        assert got.flags.writeable == wanted.flags.writeable
    assert ours.as_numpy("none") is theirs.as_numpy("none") is None


def test_it_is_what_scripts_get(monkeypatch):
    for module in (tritonclient.http, tritonclient.http._client):  # to be put back
        for name in ("InferenceServerClient", "InferResult"):
            monkeypatch.setattr(module, name, getattr(module, name))
    hand_to_scripts(None, "test")
    client = tritonclient.http.InferenceServerClient("localhost:1")
    headers, body = ANSWERS["binary"]
    monkeypatch.setattr(client, "_post", lambda **_: Response(200, headers, memoryview(body)))
    assert type(client.infer("m", [], timeout=1)) is InferResult
