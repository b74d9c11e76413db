"""For a form on another site's page: a multipart upload in, JSON out, and the headers that let the browser read it."""

import json

import numpy as np
import tritonclient.http
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from PIL import Image

CORS = {"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Credentials": "true"}
PREFLIGHT = {**CORS, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "x-request-id"}


def init():
    global client
    client = tritonclient.http.InferenceServerClient("localhost:8000")


@rawhttp
def run(request: AMLRequest):
    if request.method == "OPTIONS":
        return AMLResponse("", 204, PREFLIGHT)
    if "image" not in request.files:
        return AMLResponse({"problem": "no file named image"}, 422, CORS, json_str=True)
    upload = request.files["image"]
    pixels = np.asarray(Image.open(upload).convert("RGB").resize((32, 24)), dtype=np.uint8)
    tensor = tritonclient.http.InferInput("image", [1, *pixels.shape], "UINT8")
    tensor.set_data_from_numpy(pixels[None])
    means = client.infer("colours_last", [tensor]).as_numpy("colour")[0]
    answer = {
        "file": upload.filename,
        "note": request.form.get("note"),
        "means": dict(zip(["red", "green", "blue"], map(float, means), strict=True)),
    }
    return AMLResponse(json.dumps(answer), 200, {**CORS, "Content-Type": "application/json"})
