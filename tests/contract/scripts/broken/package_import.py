import azureml.contrib.services.aml_response  # noqa: F401
from azureml.contrib.services import rawhttp


def init():
    pass


@rawhttp
def run(request):
    return request.method
