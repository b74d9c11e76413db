"""Callers speak the KServe v2 protocol; the script hands their tensors to the model that they name, and back."""

import json
from pathlib import Path

import numpy as np
import tritonclient.http as httpclient
from azureml.core.model import Model
from tritonclient.utils import triton_to_np_dtype


def init():
    global client, units
    client = httpclient.InferenceServerClient("localhost:8000")
    repository = Path(Model.get_model_path("accounting"))
    units = (repository / "totals" / "units.txt").read_text().split()


def run(body, request_headers):
    asked = json.loads(body)
    inputs = []
    for each in asked["inputs"]:
        array = np.array(each["data"], dtype=triton_to_np_dtype(each["datatype"])).reshape(each["shape"])
        inputs.append(httpclient.InferInput(each["name"], array.shape, each["datatype"]))
        inputs[-1].set_data_from_numpy(array, binary_data=False)
    outputs = [httpclient.InferRequestedOutput(each["name"], binary_data=False) for each in asked.get("outputs", [])]
    model = request_headers.get("Model-Name", "totals")
    answer = client.infer(model, inputs, request_id=asked.get("id", ""), outputs=outputs or None)
    response = answer.get_response()
    if not outputs:  # then Triton has sent them as bytes behind the JSON
        for each in response["outputs"]:
            each["data"] = answer.as_numpy(each["name"]).flatten().tolist()
            del each["parameters"]
    return {**response, "parameters": {"units": units}}
