"""Azure ML's names that scripts import: rawhttp, AMLRequest, AMLResponse, Model."""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from .errors import TooManyParts

FORM_PARTS = 10_000  # each takes memory beyond its bytes

Run = TypeVar("Run", bound=Callable[..., Any])


class _FormParser(FormDataParser):
    def parse(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the base class has it
        """Parse a form. Raises TooManyParts, which is told from a 413 of the script's own."""
        try:
            return super().parse(*args, **kwargs)
        except RequestEntityTooLarge as error:
            raise TooManyParts(f"The form has more than {FORM_PARTS} parts. Send less in one request.") from error


class AMLRequest(Request):
    """The request that a run() with @rawhttp gets: Flask's, but that a field may be as large as the body."""

    max_form_memory_size = None  # the body has a limit
    max_form_parts = FORM_PARTS  # a property of Flask's, which asks its configuration
    form_data_parser_class = _FormParser


class AMLResponse(Response):
    """A response made by a script.

    message: None for an empty JSON object; with json_str whatever JSON can say; else text, bytes, or a generator of
    them, which is streamed. response_headers: a value with commas becomes a header for each of its parts.
    Source: azureml-inference-server-http 1.5.1, api/aml_response.
    """

    def __init__(
        self,
        message: Any,  # noqa: ANN401
        status_code: int,
        response_headers: Mapping[str, str] = {},
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        if message is None or json_str:
            text = json.dumps({} if message is None else message)
            super().__init__(text, status=status_code, mimetype="application/json")
        else:
            super().__init__(message, status=status_code)
        self.headers["x-ms-run-function-failed"] = str(run_function_failed)
        if message is not None and not json_str and "Content-Type" in response_headers:
            del self.headers["Content-Type"]
        for name, value in response_headers.items():
            for part in value.split(","):
                self.headers.add(name, part.strip())


class RawHttp:
    """Whether the script has used @rawhttp, on whatever function: Azure ML asks no more than that."""

    asked_for: ClassVar[bool] = False


def rawhttp(run: Run) -> Run:
    """Decorate run() to get the request itself instead of its body."""
    RawHttp.asked_for = True
    return run


class Model:
    """azureml.core.Model as far as a script needs it where no workspace is: to find a model's files."""

    directory: ClassVar[Path] = Path()

    @classmethod
    def get_model_path(cls, model_name: str, version: int | None = None, _workspace: object = None) -> str:
        """Find <model>/<version>/ (the highest if none is given), or <model>, in the model directory.

        A version that holds a single file or directory stands for that one. Raises FileNotFoundError.
        """
        model = cls.directory / model_name
        versions = sorted((int(each.name) for each in model.glob("*") if each.name.isdecimal()), reverse=True)
        if version in versions or (version is None and versions):
            chosen = model / str(versions[0] if version is None else version)
            inside = list(chosen.iterdir())
            return str(inside[0] if len(inside) == 1 else chosen)
        if model.exists() and version is None:
            return str(model)
        there = ", ".join(sorted(each.name for each in cls.directory.glob("*"))) or "nothing"
        asked = f"{model_name!r}, version {version}," if version else repr(model_name)
        raise FileNotFoundError(f"No model {asked} in {cls.directory}, which holds {there}.")


def install(model_dir: Path) -> None:
    """Make the names importable, the same objects under each of them; a package that is installed keeps its others."""
    Model.directory = model_dir
    request, response = {"rawhttp": rawhttp, "AMLRequest": AMLRequest}, {"AMLResponse": AMLResponse}
    for package in ("azureml.contrib.services", "azureml_inference_server_http.api"):
        _module(package, request | response, replace=True)
        _module(f"{package}.aml_request", request, replace=True)
        _module(f"{package}.aml_response", response, replace=True)
    _module("azureml.core", {"Model": Model})
    _module("azureml.core.model", {"Model": Model})


def _module(name: str, members: Mapping[str, object], replace: bool = False) -> None:
    parent, _, last = name.rpartition(".")
    if parent and parent not in sys.modules:
        _module(parent, {})
    if not replace and _installed(name):
        return
    module = ModuleType(name, f"{', '.join(members)} as scripts for Azure ML import it.")
    module.__path__ = []
    vars(module).update(members)
    sys.modules[name] = module
    if parent:
        setattr(sys.modules[parent], last, module)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
