"""Sends Triton the tensor that the request describes, right or wrong; catches what the request says to catch."""

import json

import numpy as np
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

CAUGHT = {"nothing": (), "refused": InferenceServerException, "unreachable": ConnectionError, "late": TimeoutError}


def init():
    global client, impatient
    client = tritonclient.http.InferenceServerClient("localhost:8000")
    impatient = tritonclient.http.InferenceServerClient("localhost:8000", network_timeout=0.2)


def run(data):
    asked = {"model": "digits", "name": "image", "shape": [1, 64], "dtype": "float32", "catch": "nothing"}
    asked |= json.loads(data)
    array = np.zeros(asked["shape"], dtype=asked["dtype"])
    tensor = tritonclient.http.InferInput(asked["name"], array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    try:
        result = (impatient if asked["catch"] == "late" or asked.get("impatient") else client).infer(
            asked["model"], [tensor]
        )
    except CAUGHT[asked["catch"]] as error:
        return f"caught {error}"
    return result.get_response()["outputs"][0]["shape"]
