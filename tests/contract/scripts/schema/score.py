"""run() with inference-schema's decorators: numpy, pandas, Python's own types, nested, and a default."""

import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

ARRAY = NumpyParameterType(np.array([[1.0, 2.0]]))
NOBODY = pd.DataFrame()
NOTHING = {}
FRAME = PandasParameterType(pd.DataFrame({"age": [30], "name": ["Ann"]}))
NESTED = StandardPythonParameterType({"pixels": NumpyParameterType(np.array([0])), "label": "cat"})


def init():
    pass


@input_schema("x", ARRAY)
@input_schema("people", FRAME)
@input_schema("count", StandardPythonParameterType(3))
@input_schema("image", NESTED)
@output_schema(StandardPythonParameterType([0.5]))
def run(x, people=NOBODY, count=1, image=NOTHING, note="none", request_headers=None):
    return {
        "x": [type(x).__name__, str(x.dtype), x.tolist()],
        "people": [type(people).__name__, people.to_dict("list")],
        "count": count,
        "image": [type(image.get("pixels")).__name__, image.get("label")],
        "note": note,
        "own": request_headers.get("X-Own"),
    }
