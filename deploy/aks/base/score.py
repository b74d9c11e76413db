# ruff: noqa: ANN001, ANN201, D103
# examples/digits/score.py; put yours in its place.
"""Handwritten digits: {"data": [[64 pixels, 0 (paper) to 16 (ink)], ...]} in, the likeliest digit of each image out."""

import json

import numpy as np
import tritonclient.http as httpclient


def init():
    global client
    client = httpclient.InferenceServerClient(url="localhost:8000")


def run(data):
    images = np.array(json.loads(data)["data"], dtype=np.float32)

    image_input = httpclient.InferInput("image", images.shape, "FP32")
    image_input.set_data_from_numpy(images, binary_data=True)
    result = client.infer("digits", inputs=[image_input])

    # As float64, because 0.9 of a float32 would print as 0.8999999761581421.
    probabilities = result.as_numpy("probabilities").astype(np.float64)
    return {"digit": probabilities.argmax(axis=1).tolist(), "probabilities": probabilities.round(4).tolist()}
