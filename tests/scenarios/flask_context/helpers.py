"""What the script imports."""

import flask


def describe(data):
    return [flask.request.method, flask.request.path, flask.request.headers["X-Own"], len(data)]
