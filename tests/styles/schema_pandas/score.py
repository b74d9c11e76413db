"""A table that inference-schema converts and describes, and the answer under a name, as AutoML's scripts have it."""

import numpy as np
import pandas as pd
import tritonhttpclient
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

TABLE = PandasParameterType(pd.DataFrame({"net": [10.0], "tax": [1.9], "tip": [0.5]}), enforce_shape=False)
PARAMETERS = StandardPythonParameterType({"currency": "EUR"})
RESULTS = StandardPythonParameterType({"Results": ["12.40 EUR"]})


def init():
    global client
    client = tritonhttpclient.InferenceServerClient(url="localhost:8000")


@input_schema("GlobalParameters", PARAMETERS, convert_to_provided_type=False)
@input_schema("Inputs", StandardPythonParameterType({"bills": TABLE}))
@output_schema(RESULTS)
def run(Inputs, GlobalParameters={"currency": "EUR"}):  # noqa: B006
    bills = Inputs["bills"]
    assert isinstance(bills, pd.DataFrame)
    rows = bills[["net", "tax", "tip"]].to_numpy(dtype=np.float32)
    tensor = tritonhttpclient.InferInput("rows", rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    bills["total"] = client.infer("totals", [tensor]).as_numpy("total")[:, 0]
    return {"Results": [f"{total:.2f} {GlobalParameters['currency']}" for total in bills["total"]]}
