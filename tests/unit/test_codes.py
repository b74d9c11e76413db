"""Each status has one code, whoever answers with it."""

import json
import re
import socket
from pathlib import Path

import pytest
from gunicorn.workers import base
from scoregate.server.worker import write_error
from scoregate.web import error_responses as failures
from werkzeug.exceptions import default_exceptions
from werkzeug.http import HTTP_STATUS_CODES

CODES = {
    400: "bad_request",
    403: "forbidden",
    414: "request_uri_too_long",
    417: "expectation_failed",
    431: "request_header_fields_too_large",
    500: "internal_error",
    501: "not_implemented",
}


def by_gunicorn(status):
    """What Gunicorn's handle_error() has sent."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_error(ours, status, "its reason", "its message")
        head, _, body = theirs.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} {HTTP_STATUS_CODES[status]}\r\n".encode())
    return json.loads(body)["code"]


@pytest.mark.parametrize("status", CODES)
def test_what_gunicorn_answers_has_the_code_of_its_status(status):
    assert by_gunicorn(status) == CODES[status]


@pytest.mark.parametrize("status", [404, 405, *CODES])
def test_what_flask_answers_has_the_same_code(status):
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/x"}
    error = default_exceptions.get(status, default_exceptions[500])()
    assert failures.answer_to(error, environ).json["code"] == by_gunicorn(error.code)


def test_gunicorn_has_no_other_statuses():
    """Those are written as numbers where it handles errors."""
    source = Path(base.__file__).read_text()
    assert {int(each) for each in re.findall(r"status_int = (\d+)", source)} == set(CODES)
