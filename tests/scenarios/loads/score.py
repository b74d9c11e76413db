"""Has Triton load, unload or ask the model that the request names."""

import json
from pathlib import Path

import numpy as np
import tritonclient.http


def init():
    global client
    client = tritonclient.http.InferenceServerClient("localhost:8000")


def run(data):
    asked = json.loads(data)
    model = asked["model"]
    if asked["do"] == "load":
        files = {f"file:{name}": Path(path).read_bytes() for name, path in asked.get("files", {}).items()}
        return client.load_model(model, config=asked.get("config"), files=files or None)
    if asked["do"] == "unload":
        return client.unload_model(model)
    tensor = tritonclient.http.InferInput("x", [1], "FP32").set_data_from_numpy(np.ones(1, np.float32))
    result = client.infer(model, [tensor])
    return [result.as_numpy("y").item(), client.get_model_config(model)["instance_group"][0]["count"]]
