"""The body is a picture; everything but init() and run() lies in modules beside this script."""

import config
import errors
import log
import metrics
import settings
from azureml.contrib.services import rawhttp
from azureml.contrib.services.aml_request import AMLRequest
from azureml.contrib.services.aml_response import AMLResponse
from utils import connect, model_spec, rank, to_tensor

import app


def init():
    global client, spec
    client = connect(settings.TRITON_URL)
    spec = model_spec(client, config.MODEL)
    log.say(f"{app.NAME} is ready")


@rawhttp
def run(request: AMLRequest):
    if request.method != "POST":
        return AMLResponse(app.NAME, 200)
    try:
        tensor = to_tensor(request.get_data(), spec)
    except errors.NotAPicture as error:
        return AMLResponse({"problem": str(error)}, 400, json_str=True)
    metrics.count()
    return AMLResponse("\n".join(rank(client, config.MODEL, spec, tensor, settings.CLASSES)), 200)
