"""JSON or bytes in, one call to Triton, the same form out."""

import os

import numpy as np
import tritonclient.http as httpclient  # type: ignore[import-untyped]
from flask import Flask, Response, request
from werkzeug.wrappers import Response as BaseResponse

MODEL = os.environ["MODEL"]

app = Flask(__name__)
client = httpclient.InferenceServerClient(os.environ["TRITON_URL"], concurrency=64)


@app.post("/score")
def score() -> BaseResponse | dict[str, object]:
    """Answer with the probabilities."""
    if request.is_json:
        image = np.array(request.get_json()["data"], dtype=np.float32)
    else:
        image = np.frombuffer(request.get_data(), dtype="<f4").reshape(1, 3, 64, 64)
    tensor = httpclient.InferInput("image", image.shape, "FP32")
    tensor.set_data_from_numpy(image)
    probabilities = client.infer(MODEL, [tensor]).as_numpy("probabilities")
    if request.is_json:
        return {"probabilities": probabilities.tolist()}
    return Response(probabilities.tobytes(), content_type="application/octet-stream")
