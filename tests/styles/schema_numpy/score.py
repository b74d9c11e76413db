"""An array that inference-schema converts and describes, with an optional setting beside it."""

import numpy as np
import tritonclient.http as httpclient
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

SAMPLE = np.array([[1.5, 2.0, 0.5]], dtype=np.float32)


def init():
    global client
    client = httpclient.InferenceServerClient("localhost:8000")


@input_schema("data", NumpyParameterType(SAMPLE, enforce_shape=False))
@input_schema("digits", StandardPythonParameterType(2))
@output_schema(NumpyParameterType(np.array([4.0], dtype=np.float32)))
def run(data, digits=1):
    assert isinstance(data, np.ndarray)
    assert data.dtype == np.float32
    tensor = httpclient.InferInput("rows", data.shape, "FP32")
    tensor.set_data_from_numpy(data)
    totals = client.infer("totals", [tensor]).as_numpy("total")
    return [round(float(total), digits) for total in totals.flatten()]
