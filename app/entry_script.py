"""The user's entry script (score.py): load and check it, init() once, run() for each request."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ScoringError, ScriptFailed
from .triton import InferenceServerException, explain


class EntryScriptError(Exception):
    """The script cannot serve. The text names the file, the line and the fault, with the script's own traceback."""


class EntryScript:
    """A loaded entry script.

    Source of the contract: "Deploy models for scoring", entry script, in the Azure Machine Learning documentation.
    """

    def __init__(self, path: Path, root: Path) -> None:
        """Import the script, in its working directory, with its own modules ahead of any of the same name.

        Raises EntryScriptError.
        """
        self.path = path
        if not path.is_file():
            raise EntryScriptError(f"There is no entry script {path}. Set ENTRY_SCRIPT to the path of your score.py.")
        os.chdir(root)
        for directory in (root, path.parent):
            sys.path.insert(0, str(directory))
        module = self._load()
        self._init = self._function(module, "init")
        self._run = self._function(module, "run")
        if not inspect.signature(self._run).parameters:
            raise EntryScriptError(f"{path}: run() takes no parameter, but needs one for the request's data.")

    def init(self) -> None:
        """Call the script's init(). Raises EntryScriptError."""
        try:
            self._init()
        except (Exception, SystemExit) as error:
            raise self._fault("init() raised", error) from error

    def run(self, data: str) -> Any:  # noqa: ANN401 - the script decides
        """Call the script's run() with the request's body. Raises ScriptFailed, or what befell its call to Triton."""
        try:
            return self._run(data)
        except ScoringError:
            raise
        except InferenceServerException as error:
            raise explain(error) from error
        except (Exception, SystemExit) as error:
            raise ScriptFailed(
                "An unexpected error occurred in scoring script. Check the logs for more info."
            ) from error

    def _load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("entry_module", self.path)
        if spec is None or spec.loader is None:
            raise EntryScriptError(f"{self.path} is not a Python file. ENTRY_SCRIPT names a script such as score.py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules["entry_module"] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise self._fault("the script cannot be loaded", error) from error
        return module

    def _function(self, module: ModuleType, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] | None = getattr(module, name, None)
        if not callable(function):
            raise EntryScriptError(f"{self.path} has no function {name}(). An entry script defines init() and run().")
        return function

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
