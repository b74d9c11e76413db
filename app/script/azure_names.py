"""Azure ML's names that scripts import: rawhttp, AMLRequest, AMLResponse, Model."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from ..errors import TooManyParts
from .json_writer import dumps

FORM_PARTS = 10_000  # each takes memory beyond its bytes

Run = TypeVar("Run", bound=Callable[..., Any])

MODELS = "azureml-models"  # the directory of models on Azure ML


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

    message: None for an empty JSON object; with json_str whatever is answered as JSON; else text, bytes, or a generator
    of them, which is streamed. response_headers: a value with commas becomes a header for each of its parts.
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
            text = dumps({} if message is None else message)
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

    places: ClassVar[Sequence[Path]] = ()

    @classmethod
    def get_model_path(cls, model_name: str, version: int | None = None, _workspace: object = None) -> str:
        """Find <model>/<version>/ (the highest if none is given), or <model>, in the first place that has it.

        A version that holds a single file or directory stands for that one. Raises FileNotFoundError.
        Source: azureml-core 1.61, core/model.py, which looks in the working directory.
        """
        here = Path.cwd()
        places = list(dict.fromkeys([*cls.places, here / MODELS, here]))
        for place in places:
            if found := _in(place / model_name, version):
                return str(found)
        there = ", ".join(sorted(each.name for each in places[0].glob("*"))) or "nothing"
        asked = f"{model_name!r}, version {version}," if version else repr(model_name)
        others = ", ".join(map(str, places[1:]))
        raise FileNotFoundError(f"No model {asked} in {places[0]}, which holds {there}, nor in {others}.")


def _in(model: Path, version: int | None) -> Path | None:
    versions = sorted((int(each.name) for each in model.glob("*") if each.name.isdecimal()), reverse=True)
    if version in versions or (version is None and versions):
        chosen = model / str(versions[0] if version is None else version)
        inside = list(chosen.iterdir())
        return inside[0] if len(inside) == 1 else chosen
    return model if version is None and model.exists() else None


def install(model_dir: Path, app_root: Path) -> None:
    """Make the names importable, the same objects under each of them, also beside installed packages of Azure's.

    azureml-core, where it is installed, keeps its own Model, with all that belongs to it.
    """
    # On Azure ML the directory of a deployment with one model is azureml-models/<model>/<version>.
    all_models = [each for each in model_dir.parents[1:2] if each.name == MODELS]
    Model.places = [model_dir, *all_models, app_root / MODELS]
    request, response = {"rawhttp": rawhttp, "AMLRequest": AMLRequest}, {"AMLResponse": AMLResponse}
    for package in ("azureml.contrib.services", "azureml_inference_server_http.api"):
        _put(package, request | response)
        _put(f"{package}.aml_request", request)
        _put(f"{package}.aml_response", response)
    if not _installed("azureml.core"):
        _put("azureml.core", {"Model": Model})
        _put("azureml.core.model", {"Model": Model})


def _put(name: str, members: Mapping[str, object]) -> ModuleType:
    """Make a module, in the place of an installed one of this name."""
    module = importlib.util.module_from_spec(ModuleSpec(name, None, is_package=True))
    vars(module).update(members)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(_package(parent), last, module)
    return module


def _package(name: str) -> ModuleType:
    """Get the package that is there, that is installed, or an empty one of ours."""
    if module := sys.modules.get(name):
        return module
    return importlib.import_module(name) if _installed(name) else _put(name, {})


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # nor is its parent
        return False
