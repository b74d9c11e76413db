"""Texts in, scores out, through an ensemble; with "explain" also what its first, Python-backend step sees."""

import json

import numpy as np
import tritonclient.http
from tritonclient.utils import InferenceServerException


def init():
    global client
    client = tritonclient.http.InferenceServerClient("localhost:8000")
    assert client.get_model_config("rate_text")["platform"] == "ensemble"


def ask(model, texts, output):
    tensor = tritonclient.http.InferInput("text", texts.shape, "BYTES")
    tensor.set_data_from_numpy(texts)
    return client.infer(model, [tensor]).as_numpy(output)


def run(data):
    asked = json.loads(data)
    texts = np.array([[text.encode()] for text in asked["texts"]], dtype=object)
    try:
        answer = {"scores": ask("rate_text", texts, "score").flatten().tolist()}
    except InferenceServerException as error:
        return {"problem": error.message()}
    if asked.get("explain"):
        answer["features"] = ask("features", texts, "counts")
    return answer
