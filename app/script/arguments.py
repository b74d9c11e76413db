"""How a request becomes the arguments of run()."""

import json
from collections.abc import Callable, Sequence
from inspect import Parameter
from io import BytesIO
from typing import Any, TypeVar

from gunicorn.http.errors import ParseException
from werkzeug.wrappers import Request

from ..errors import BadInput, BodyStalled, BodyTooLarge, UnsupportedInput
from . import content_coding
from .azure_names import AMLRequest
from .body import Body

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")  # read by the first who asks, form or get_data()

Environ = dict[str, Any]  # of a WSGI request
Arguments = dict[str, Any]
Reader = Callable[[Environ], Arguments]
R = TypeVar("R", bound=Request)


def whole_request(name: str, limit: int) -> Reader:
    """For @rawhttp: the request itself, its body read already, so that only run() is left to be waited for.

    A packed body stays as it was sent, as on Azure ML; the header tells the script.
    """

    def read(environ: Environ) -> Arguments:
        body = read_body(environ, limit)
        whole = environ | {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        whole.pop("HTTP_TRANSFER_ENCODING", None)
        request = _without_cycle(AMLRequest, whole)
        content_type = environ.get("CONTENT_TYPE", "").lower()
        if not any(form in content_type for form in FORMS):
            request._cached_data = body  # or get_data() would copy it
        return {name: request}

    return read


def json_text(name: str, limit: int) -> Reader:
    """For a run() without decorator: the body as text, verbatim; of a GET the query, as the text of a JSON object."""

    def read(environ: Environ) -> Arguments:
        if environ["REQUEST_METHOD"] == "GET":
            return {name: json.dumps(query(environ))}
        try:
            return {name: read_unpacked(environ, limit).decode()}
        except UnicodeDecodeError as error:
            raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from error

    return read


def bytes_and_arrays(name: str, limit: int) -> Reader:
    """For a parameter annotated with Body: the bytes of the body; of a GET the query, as a JSON object."""

    def read(environ: Environ) -> Arguments:
        if environ["REQUEST_METHOD"] == "GET":
            return {name: Body(json.dumps(query(environ)).encode())}
        return {name: Body(read_unpacked(environ, limit))}

    return read


def keywords(parameters: Sequence[Parameter], limit: int) -> Reader:
    """For @input_schema: each parameter from the JSON object, or from the query of a GET; others are ignored."""

    def read(environ: Environ) -> Arguments:
        members = query(environ) if environ["REQUEST_METHOD"] == "GET" else json_object(environ, limit)
        values = {each.name: members.get(each.name, each.default) for each in parameters}
        for name, value in values.items():
            if value is Parameter.empty:
                raise BadInput(f"A value is not provided for the {name!r} parameter.")
        return values

    return read


def query(environ: Environ) -> Arguments:
    """The query's values, each parsed as JSON, or as text where it is none; a name given several times is a list."""
    given = _without_cycle(Request, environ).args.lists()
    values = {name: [_json_or_text(text) for text in texts] for name, texts in given}
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def json_object(environ: Environ, limit: int) -> Arguments:
    """The body as a JSON object. Raises BadInput, UnsupportedInput for another content type."""
    if not _without_cycle(Request, environ).is_json:
        raise UnsupportedInput("Expects Content-Type to be application/json")
    body = read_unpacked(environ, limit)
    if not body:
        raise BadInput("POST body is empty. Expecting a JSON dictionary.")
    try:
        members = json.loads(body)
    except json.JSONDecodeError as error:
        raise BadInput(f"POST body could not be decoded as JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"Input cannot be decoded as UTF-8: {error}") from error
    except RecursionError as error:
        raise BadInput("POST body could not be decoded as JSON: it is nested too deeply.") from error
    if not isinstance(members, dict):
        raise BadInput("POST body should be a JSON dictionary.")
    return members


def read_unpacked(environ: Environ, limit: int) -> bytes:
    """Read the whole body, unpacked if its sender has packed it. Raises as read_body(), UnsupportedCoding, too."""
    coding = environ.get("HTTP_CONTENT_ENCODING")
    if not coding or coding == "identity":
        return read_body(environ, limit)
    packed_as = content_coding.format_of(coding)  # before the body is received, which is spared whoever is refused
    return content_coding.unpacked(read_body(environ, limit), packed_as, limit)


def read_body(environ: Environ, limit: int) -> bytes:
    """Read the whole body.

    Raises BodyTooLarge for one of more than limit bytes, BadInput when it breaks off, BodyStalled when it stops coming.

    From Gunicorn, which ends the body where the request ends. Werkzeug's stream on top of it cuts a chunked body off at
    the limit, and takes a body that broke off for a whole one.
    """
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    if announced > limit:
        raise BodyTooLarge(limit)
    try:
        body: bytes = environ["wsgi.input"].read(announced or limit + 1)
    except TimeoutError as error:
        raise BodyStalled("The rest of the request's body did not come. Send it without a pause.") from error
    except (OSError, ParseException) as error:  # the connection ended, or what came are no chunks
        raise BadInput(f"The request's body cannot be read: {error}") from error
    if len(body) > limit:
        raise BodyTooLarge(limit)
    if len(body) < announced:
        raise BadInput(f"The request's body broke off after {len(body)} of {announced} bytes.")
    return body


def _without_cycle(kind: type[R], environ: Environ) -> R:
    """Make a request that is not itself in its environ: both, and the body, would stay until garbage is collected."""
    return kind(environ, populate_request=False)


def _json_or_text(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
