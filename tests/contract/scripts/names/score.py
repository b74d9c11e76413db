"""Azure's names, each under both of its modules."""

import azureml_inference_server_http.api.aml_request as new_request
import azureml_inference_server_http.api.aml_response as new_response
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from inference_schema.schema_util import is_schema_decorated


def init():
    pass


def run(data):
    return {
        "rawhttp": new_request.rawhttp is rawhttp,
        "AMLRequest": new_request.AMLRequest is AMLRequest,
        "AMLResponse": new_response.AMLResponse is AMLResponse,
        "inference_schema": callable(is_schema_decorated),
    }
