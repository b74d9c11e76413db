"""Sends Triton the tensor that the request describes, right or wrong; catches what the request says to catch."""

import json

import numpy as np
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

CAUGHT = {"nothing": (), "refused": InferenceServerException, "unreachable": ConnectionError, "late": TimeoutError}


def init():
    global clients
    clients = {
        seconds: tritonclient.http.InferenceServerClient("localhost:8000", network_timeout=seconds)
        for seconds in (0.2, 60, 900)
    }


def run(data):
    asked = {"model": "digits", "name": "image", "shape": [1, 64], "dtype": "float32", "catch": "nothing"}
    asked |= json.loads(data)
    client = clients[0.2 if asked["catch"] == "late" else asked.get("timeout", 60)]
    array = np.zeros(asked["shape"], dtype=asked["dtype"])
    shape, datatype = asked.get("declared", [array.shape, np_to_triton_dtype(array.dtype)])
    tensor = tritonclient.http.InferInput(asked["name"], shape, datatype)
    tensor.set_data_from_numpy(array)
    try:
        result = client.infer(asked["model"], [tensor])
    except CAUGHT[asked["catch"]] as error:
        return f"caught {error}"
    if "output" in asked:
        return result.as_numpy(asked["output"])
    return result.get_response()["outputs"][0]["shape"]
