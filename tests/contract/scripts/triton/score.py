"""Asks Triton: the request's body names what goes wrong."""

import os

import numpy as np
import tritonclient.http

CLOSED = "127.0.0.1:9"


def init():
    pass


def run(data):
    url = {"gone": CLOSED, "slow": os.environ["SILENT_SERVER"]}.get(data, os.environ["TRITON_SERVER"])
    model = "no_such_model" if data == "no such model" else "digits"
    client = tritonclient.http.InferenceServerClient(url=url, network_timeout=1.0, connection_timeout=1.0)
    tensor = tritonclient.http.InferInput("image", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), dtype=np.float32))
    return client.infer(model, [tensor]).as_numpy("probabilities")
