"""A JSON text in, a list out; the client is made when the module is imported."""

import json
import logging

import numpy as np
import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(url="localhost:8000")
logger = logging.getLogger("totals")
logger.setLevel(logging.INFO)


def init():
    global factor
    factor = 1
    print("totals: init")


def run(raw_data):
    rows = np.array(json.loads(raw_data)["data"], dtype=np.float32)
    print("totals: printed", rows.shape)
    logger.info("totals: logged %s", rows.shape)
    tensor = httpclient.InferInput("rows", rows.shape, "FP32")
    tensor.set_data_from_numpy(rows, binary_data=False)
    result = client.infer(model_name="totals", inputs=[tensor])
    return (factor * result.as_numpy("total")).tolist()
