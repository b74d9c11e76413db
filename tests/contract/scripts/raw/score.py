"""Tells what the request holds; `show` in the query names what."""

import flask
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request):
    show = request.args.get("show")
    if show == "kind":
        return [isinstance(request, flask.Request), issubclass(AMLRequest, flask.Request)]
    if show == "body":
        return request.get_data().decode("latin-1")
    if show == "json":
        return request.get_json()
    if show == "form":
        return request.form.to_dict()
    if show == "packed":
        return [request.headers["Content-Encoding"], request.get_data().decode("latin-1")]
    if show == "length":
        return [len(value) for value in request.form.getlist("field")]
    if show == "abort":
        flask.abort(413)
    if show == "file":
        return [request.files["image"].filename, request.files["image"].read().decode("latin-1")]
    if show == "cors":
        return AMLResponse("", 200, {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, PUT"})
    return {
        "method": request.method,
        "path": request.path,
        "args": request.args.to_dict(),
        "own": request.headers["X-Own"],
    }
