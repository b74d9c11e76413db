# mypy: ignore-errors
# As a user writes it.
"""A script as written for Azure ML that takes bytes."""

import os

import numpy as np
import tritonclient.http
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

MODEL = os.environ["MODEL"]


def init() -> None:
    """Once in each worker."""
    global client
    client = tritonclient.http.InferenceServerClient(url=os.environ["TRITON_URL"])


@rawhttp
def run(request: AMLRequest) -> AMLResponse:
    """Answer with the probabilities' bytes."""
    image = np.frombuffer(request.get_data(), dtype="<f4").reshape(1, 3, 64, 64)
    tensor = tritonclient.http.InferInput("image", image.shape, "FP32")
    tensor.set_data_from_numpy(image)
    return AMLResponse(client.infer(MODEL, [tensor]).as_numpy("probabilities").tobytes(), 200)
