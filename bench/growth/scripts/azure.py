# mypy: ignore-errors
# As a user writes it.
"""The mean of any number of float32, in the style of Azure ML."""

import numpy as np
import tritonclient.http
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def init() -> None:
    """Once in each worker."""
    global client
    client = tritonclient.http.InferenceServerClient(url="localhost:8000")


@rawhttp
def run(request: AMLRequest) -> AMLResponse:
    """Answer with four bytes."""
    numbers = np.frombuffer(request.get_data(), dtype="<f4")
    tensor = tritonclient.http.InferInput("numbers", numbers.shape, "FP32")
    tensor.set_data_from_numpy(numbers)
    return AMLResponse(client.infer("mean", [tensor]).as_numpy("mean").tobytes(), 200)
