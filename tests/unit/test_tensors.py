"""The inputs and the results that scripts get are like tritonclient's."""

import gzip
import json

import numpy as np
import pytest
import tritonclient.http
from scoregate.triton.connections import Response
from scoregate.triton.upstream_types import InferInput, InferResult
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

UPSTREAM = tritonclient.http._infer_input.InferInput
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
def test_a_result_is_tritonclients(headers, body):
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


def read_only(array):
    array.flags.writeable = False
    return array


def view_of(body, dtype, shape=(-1,)):
    return np.frombuffer(body, dtype).reshape(shape)


LARGE = np.random.default_rng(0).bytes(600_000)
ARRAYS = {
    "of bytes": (view_of(LARGE, "<f4"), "FP32", True),
    "of bytes, in another shape": (view_of(LARGE, "u1", (2, 3, -1)), "UINT8", True),
    "part of bytes": (view_of(LARGE, "f2", (2, -1))[1], "FP16", True),
    "not contiguous": (view_of(LARGE, "<f4", (2, -1))[:, :20_000], "FP32", False),
    "transposed": (view_of(LARGE, "<i8", (100, -1)).T, "INT64", False),
    "small": (view_of(LARGE[:64], "<f4"), "FP32", False),
    "may change": (view_of(LARGE, "<f4").copy(), "FP32", False),
    "of what may change": (view_of(bytearray(LARGE), "<f4"), "FP32", False),
    "not writeable, but of what is": (read_only(view_of(LARGE, "<f4").copy()), "FP32", False),
    "texts": (np.array([LARGE], dtype=object), "BYTES", False),
}


@pytest.mark.parametrize(("array", "datatype", "viewed"), ARRAYS.values(), ids=ARRAYS)
def test_an_input_has_tritonclients_bytes_and_copies_none_that_cannot_change(array, datatype, viewed):
    ours, theirs = (made("x", array.shape, datatype) for made in (InferInput, UPSTREAM))
    assert ours.set_data_from_numpy(array) is ours
    theirs.set_data_from_numpy(array)
    assert ours._get_tensor() == theirs._get_tensor()
    assert bytes(ours._get_binary_data()) == theirs._get_binary_data()
    assert isinstance(ours._get_binary_data(), memoryview) is viewed


@pytest.mark.parametrize("array", [view_of(LARGE, "<f4", (1, -1)), view_of(LARGE, "<f8"), [1.0]])
def test_an_input_refuses_what_tritonclient_refuses(array):
    told = []
    for made in (InferInput, UPSTREAM):
        with pytest.raises(InferenceServerException) as error:
            made("x", [150_000], "FP32").set_data_from_numpy(array)
        told.append(error.value.message())
    assert told[1] in told[0]


def test_they_are_what_scripts_get(monkeypatch, install):
    for module in (tritonclient.http, tritonclient.http._client):  # to be put back
        for name in ("InferenceServerClient", "InferInput", "InferResult"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name))
    install(None, "test")
    assert tritonclient.http.InferInput is InferInput
    client = tritonclient.http.InferenceServerClient("localhost:1")
    headers, body = ANSWERS["binary"]
    monkeypatch.setattr(client, "_post", lambda **_: Response(200, headers, memoryview(body)))
    assert type(client.infer("m", [], timeout=1)) is InferResult
