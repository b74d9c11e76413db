"""The user's entry script (score.py): load and check it, init() once, run() for each request."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, cast

from inference_schema.schema_util import is_schema_decorated  # type: ignore[import-untyped]
from werkzeug.datastructures import EnvironHeaders

from ..errors import ScoringError, ScriptFailed
from ..eventloop.asyncio_bridge import AsyncioBridge
from ..settings import Settings
from ..triton import InferenceServerException, explain
from . import arguments, flask_use
from .azure_names import RawHttp
from .body import is_body
from .streams import begun

FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."


class EntryScriptError(Exception):
    """The script cannot serve. The text names the file, the line and the fault, with the script's own traceback."""


class EntryScript:
    """A loaded entry script.

    Source of the contract: azureml-inference-server-http 1.5.1; docs/api.md has it, rule by rule.
    """

    def __init__(self, settings: Settings) -> None:
        """Import the script, in its working directory, with its own modules ahead of any of the same name.

        Raises EntryScriptError.
        """
        self.path = path = settings.entry_script
        if not path.is_file():
            raise EntryScriptError(f"There is no entry script {path}. Set ENTRY_SCRIPT to the path of your score.py.")
        os.chdir(settings.app_root)
        sys.path[:0] = map(str, settings.script_directories)

        module = self._load()
        self.uses_flask = flask_use.needs_context(path, settings.script_directories)
        self._init = self._function(module, "init")
        self.function = self._function(module, "run")
        # A driver module, as some Azure ML SDKs write one around the user's, has an init() of its own worth calling,
        # but a run() that only hands on, and gets the arguments of a decorated one wrong.
        if isinstance(driven := getattr(module, "driver_module", None), ModuleType) and hasattr(driven, "run"):
            self.function = self._function(driven, "run")

        self._strict_status = settings.strict_status
        self._max_body_bytes = settings.max_body_bytes
        self._coroutines = AsyncioBridge()
        self._reader, self._wants_headers = self._analysed()

    @property
    def takes_request(self) -> bool:
        """Whether run() wants the request itself, whatever its method."""
        return RawHttp.asked_for

    def init(self) -> None:
        """Call the script's init(). Raises EntryScriptError."""
        try:
            self._init()
        except BaseException as error:  # whatever it is, this worker cannot serve
            raise self._fault("init() raised", error) from error

    def read_arguments(self, environ: arguments.Environ) -> arguments.Arguments:
        """Read what run() takes from the request. Raises BadInput."""
        values = self._reader(environ)
        if self._wants_headers:
            values["request_headers"] = dict(EnvironHeaders(environ))
        return values

    def run(self, values: dict[str, Any]) -> Any:  # noqa: ANN401 - the script decides
        """Call the script's run().

        Raises ScriptFailed, or what befell its call to Triton; with strict_status that is ScriptFailed,
        too, as on Azure ML. What is no Exception passes.
        """
        try:
            return begun(self._call(values))
        except ScoringError as error:
            if self._strict_status:
                raise ScriptFailed(FAILED) from error
            raise
        except InferenceServerException as error:
            raise (ScriptFailed(FAILED) if self._strict_status else explain(error)) from error
        except Exception as error:
            raise ScriptFailed(FAILED) from error

    def _call(self, values: arguments.Arguments) -> Any:  # noqa: ANN401
        result = self.function(**values)
        if inspect.iscoroutine(result):
            return self._coroutines.wait_for(cast(Coroutine[Any, Any, Any], result))
        return result

    def _load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("entry_module", self.path)
        if spec is None or spec.loader is None:
            raise EntryScriptError(f"{self.path} is not a Python file. ENTRY_SCRIPT names a script such as score.py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules["entry_module"] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            raise self._fault("the script cannot be loaded", error) from error
        return module

    def _function(self, module: ModuleType, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] | None = getattr(module, name, None)
        if not callable(function):
            raise EntryScriptError(f"{module.__file__} has no function {name}(). A script defines init() and run().")
        return function

    def _analysed(self) -> tuple[arguments.Reader, bool]:
        """Find out from run()'s signature and decorators what it takes, and whether that includes the headers."""
        parameters = list(inspect.signature(self.function).parameters.values())
        if any(each.kind not in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters):
            raise EntryScriptError(f"{self.path}: run() cannot accept positional-only arguments, *args, or **kwargs.")
        inputs = [each for each in parameters if each.name != "request_headers"]
        if not inputs:
            wanted = 'other than "request_headers"' if parameters else "for input data"
            raise EntryScriptError(f"{self.path}: run() needs to accept an argument {wanted}.")
        decorated = is_schema_decorated(self.function)
        if RawHttp.asked_for and decorated:
            raise EntryScriptError(f"{self.path}: run() cannot be decorated with both @rawhttp and @input_schema.")
        if RawHttp.asked_for:
            reader = arguments.whole_request(inputs[0].name, self._max_body_bytes)
        elif decorated:
            reader = arguments.keywords(inputs, self._max_body_bytes)
        elif is_body(inputs[0].annotation, self.function):
            reader = arguments.bytes_and_arrays(inputs[0].name, self._max_body_bytes)
        else:
            reader = arguments.json_text(inputs[0].name, self._max_body_bytes)
        return reader, len(inputs) < len(parameters)

    def _fault(self, what: str, error: BaseException) -> EntryScriptError:
        """Say where in the user's code it happened; the frames above the script are the server's and of no interest."""
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename != str(self.path):
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and error.filename:
            place = f"{error.filename}, line {error.lineno}"
        elif trace:
            place = f"{self.path}, line {trace.tb_lineno}"
        else:
            place = str(self.path)
        lines = "".join(traceback.format_exception(type(error), error, trace))
        return EntryScriptError(f"{place}: {what}: {type(error).__name__}: {error}\n{lines}".rstrip())
