"""run() with a parameter whose type is for OpenAPI 3.1 alone."""

from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema


class Newest(StandardPythonParameterType):
    def supported_versions(self):
        return ["3.1"]


def init():
    pass


@input_schema("x", Newest(1))
def run(x):
    return x
