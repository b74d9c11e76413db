"""Iris flowers: {"data": [[length and width of sepal, then of petal, in cm], ...]} in, the species by name out."""

import json

import numpy as np
import tritonclient.http as httpclient


def init():
    global client
    client = httpclient.InferenceServerClient(url="localhost:8000")


def run(data):
    measurements = np.array(json.loads(data)["data"], dtype=np.float32)

    measurements_input = httpclient.InferInput("measurements", measurements.shape, "FP32")
    measurements_input.set_data_from_numpy(measurements, binary_data=True)
    # With class_count Triton sorts the classes and looks up their names, which are in the model's labels.txt.
    top3 = httpclient.InferRequestedOutput("probabilities", binary_data=True, class_count=3)
    result = client.infer("iris", inputs=[measurements_input], outputs=[top3])

    return [[classification(entry) for entry in flower] for flower in result.as_numpy("probabilities")]


def classification(entry):
    """b"0.98:0:setosa", which is value, index, label, as a dict."""
    probability, _, label = entry.decode().split(":", 2)
    return {"label": label, "probability": float(probability)}
