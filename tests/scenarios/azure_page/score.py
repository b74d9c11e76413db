"""In the style of Azure ML's page on Triton: the client's old name and defaults, metadata, both forms of data."""

import json

import numpy as np
import tritonhttpclient
from tritonclientutils import triton_to_np_dtype

MODEL = "digits"


def init():
    global triton_client, input_name, input_dtype, output_name
    triton_client = tritonhttpclient.InferenceServerClient(url="localhost:8000")
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready(MODEL, "1")
    metadata = triton_client.get_model_metadata(model_name=MODEL)
    config = triton_client.get_model_config(model_name=MODEL)
    assert config["max_batch_size"] > 1
    input_name, input_dtype = metadata["inputs"][0]["name"], metadata["inputs"][0]["datatype"]
    output_name = metadata["outputs"][0]["name"]


def run(data):
    request = json.loads(data)
    binary = request["binary"]
    image = np.array(request["data"], dtype=triton_to_np_dtype(input_dtype))
    inputs = [tritonhttpclient.InferInput(input_name, image.shape, input_dtype)]
    inputs[0].set_data_from_numpy(image, binary_data=binary)
    outputs = [tritonhttpclient.InferRequestedOutput(output_name, binary_data=binary)]
    result = triton_client.infer(MODEL, inputs, request_id="1", outputs=outputs)
    assert result.get_response()["id"] == "1"
    return result.as_numpy(output_name).argmax(axis=1)
