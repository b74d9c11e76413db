"""Azure's names, each under both of its modules."""

import azureml.contrib.services.aml_request as old_request
import azureml.contrib.services.aml_response as old_response
import azureml_inference_server_http.api.aml_request as new_request
import azureml_inference_server_http.api.aml_response as new_response
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse
from inference_schema.schema_util import is_schema_decorated


def init():
    pass


def run(data):
    return {
        "rawhttp": old_request.rawhttp is new_request.rawhttp is rawhttp,
        "AMLRequest": old_request.AMLRequest is new_request.AMLRequest is AMLRequest,
        "AMLResponse": old_response.AMLResponse is new_response.AMLResponse is AMLResponse,
        "inference_schema": is_schema_decorated(run),
    }
