"""The API document at /swagger.json: made from the schemas that run() declares, or the user's own file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference_schema.schema_util import (  # type: ignore[import-untyped]
    get_input_schema,
    get_output_schema,
    get_supported_versions,
    is_schema_decorated,
)

from ..errors import ScoringError
from ..script.entry_script import EntryScript, EntryScriptError
from ..script.json_writer import plain
from ..settings import Settings

Document = dict[str, Any]

# Version as it is asked for, and the files of APP_ROOT that stand in for the generated document, first one first.
ALIASES = {"2": "2", "2.0": "2", "3": "3", "3.0": "3", "3.1": "3.1"}
FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}


class NoSuchVersion(ScoringError):
    """There is no API document of the version asked for."""

    status = 404
    code = "no_such_swagger_version"


class ApiDocuments:
    """The documents by version. Source: azureml-inference-server-http 1.5.1, whose clients read them.

    Raises EntryScriptError for a file of the user's that is no JSON.
    """

    def __init__(self, script: EntryScript, settings: Settings) -> None:
        documents = {version: _document(version, script, settings) for version in FILES}
        self._documents = {version: document for version, document in documents.items() if document}

    def get(self, asked: str) -> Document:
        """Give one version. Raises NoSuchVersion."""
        there = ", ".join(sorted(self._documents))
        if asked not in ALIASES:
            raise NoSuchVersion(f"Swagger version [{asked}] is not valid. Supported versions: [{there}].")
        if ALIASES[asked] not in self._documents:
            raise NoSuchVersion(
                f"Swagger version [{asked}] is not supported for the scoring script. "
                f"Supported swagger versions: [{there}]."
            )
        return self._documents[ALIASES[asked]]


def _document(version: str, script: EntryScript, settings: Settings) -> Document | None:
    for name in FILES[version]:
        if (file := Path(settings.app_root, name)).is_file():
            return _own(file)
    spoken = get_supported_versions(script.function)
    if not any(alias in spoken for alias, target in ALIASES.items() if target == version):
        return None
    if is_schema_decorated(script.function):  # JSON has no form for NaN, which an example may hold
        schemas = plain(get_input_schema(script.function)), plain(get_output_schema(script.function))
    else:
        anything = {"type": "object", "example": {}}
        schemas = anything, anything
    return _swagger_2(*schemas, settings) if version == "2" else _openapi_3(version, *schemas, settings)


def _own(file: Path) -> Document:
    """Read the user's file, in any encoding that JSON may have."""
    try:
        own: Document = plain(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise EntryScriptError(
            f"{file} is to be answered at /swagger.json and cannot be read as JSON: {error}"
        ) from error
    return own


def _swagger_2(takes: Document, gives: Document, settings: Settings) -> Document:
    def reply(text: str, schema: Document) -> Document:
        return {"description": text, "schema": schema}

    def refer(name: str) -> Document:
        return {"$ref": f"#/definitions/{name}"}

    body = {"name": "serviceInputPayload", "in": "body", "description": "What run() takes.", "schema": refer(INPUT)}
    version = {"name": "version", "in": "query", "required": False, "type": "string", "enum": list(FILES)}
    return {
        "swagger": "2.0",
        "info": _info(settings),
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {"Bearer": BEARER},
        "paths": _paths(settings, reply, refer, score={"parameters": [body]}, document={"parameters": [version]}),
        "definitions": {INPUT: takes, OUTPUT: gives, FAILURE: FAILURE_SCHEMA},
    }


def _openapi_3(version: str, takes: Document, gives: Document, settings: Settings) -> Document:
    def reply(text: str, schema: Document) -> Document:
        content = "text/plain" if schema == TEXT else "application/json"
        return {"description": text, "content": {content: {"schema": schema}}}

    def refer(name: str) -> Document:
        return {"$ref": f"#/components/schemas/{name}"}

    body = {"description": "What run() takes.", "content": {"application/json": {"schema": refer(INPUT)}}}
    asked = {"name": "version", "in": "query", "required": False, "schema": {"type": "string", "enum": list(FILES)}}
    return {
        "openapi": "3.1.0" if version == "3.1" else "3.0.3",
        "info": _info(settings),
        "security": [{"Bearer": []}],
        "paths": _paths(settings, reply, refer, score={"requestBody": body}, document={"parameters": [asked]}),
        "components": {
            "schemas": {INPUT: takes, OUTPUT: gives, FAILURE: FAILURE_SCHEMA},
            "securitySchemes": {"Bearer": BEARER},
        },
    }


INPUT, OUTPUT, FAILURE = "ServiceInput", "ServiceOutput", "ErrorResponse"
TEXT = {"type": "string"}
FAILURE_SCHEMA = {"type": "object", "properties": {"message": TEXT, "code": TEXT, "request_id": TEXT}}
BEARER = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}


def _info(settings: Settings) -> Document:
    return {
        "title": settings.service_name,
        "description": f"API specification for the Azure Machine Learning service {settings.service_name}",
        "version": settings.service_version,
    }


def _paths(
    settings: Settings,
    reply: Callable[[str, Document], Document],
    refer: Callable[[str], Document],
    score: Document,
    document: Document,
) -> Document:
    """Describe the three routes; reply and refer write what differs between the versions of the specification."""
    prefix = f"/{settings.service_path_prefix.strip('/')}" if settings.service_path_prefix else ""
    failed = reply("The service failed to execute due to an error.", refer(FAILURE))

    def operation(name: str, description: str, succeeded: Document, **more: Any) -> Document:  # noqa: ANN401
        responses = {"200": succeeded, "default": failed}
        return {"operationId": name, "description": description, **more, "responses": responses}

    return {
        f"{prefix}/": {
            "get": operation("ServiceHealthCheck", "Tell whether the service is up.", reply("It is: Healthy.", TEXT))
        },
        f"{prefix}/score": {
            "post": operation(
                "RunMLService",
                "Run the entry script for one request.",
                reply("What run() returned.", refer(OUTPUT)),
                security=[{"Bearer": []}],
                **score,
            )
        },
        f"{prefix}/swagger.json": {
            "get": operation("GetSwaggerSpec", "Get this document.", reply("The document.", TEXT), **document)
        },
    }
