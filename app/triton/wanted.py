"""The models that have to be ready for the service to be: those it started with, and those that were ready since."""

import base64
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

UNLOADED = "unloaded"  # Triton's reason for a model that it was told to unload
# What a model's file begins with, if a script had it loaded: with files of its own, or those of the repository.
OWN_FILES, OF_REPOSITORY = b"F", b"R"


class ModelState(NamedTuple):
    """One version of one model, as Triton's repository index tells it.

    state: READY, LOADING, UNLOADING or UNAVAILABLE. A model that Triton did not try to load has none in the index; here
    it is UNAVAILABLE with version "-", or "" where Triton loads only what it is told to.
    Source: Triton's model repository extension, POST v2/repository/index.
    """

    name: str
    version: str
    state: str
    reason: str


class WantedModels:
    """A list that all workers share: a directory with a file for each model.

    The file says how a script had the model loaded. It is empty for one that Triton loaded by itself, or that somebody
    else had loaded.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def missing(self, index: Sequence[ModelState], is_ready: Callable[[str], bool]) -> list[ModelState]:
        """List those that are not ready, after bringing the list up to date with Triton's index.

        A model that is loaded anew, or fails to, is ready in the index for as long as its old version serves. One that
        was unloaded on purpose, or has left the repository, is wanted no more. is_ready: asks Triton for a model that
        the index does not name, since a script has given its files.
        """
        versions: dict[str, list[ModelState]] = {}
        for each in index:
            versions.setdefault(each.name, []).append(each)
        ready = {each.name for each in index if each.state == "READY"}
        wanted = self._names()
        for name in ready - wanted:
            self._write(name, b"")
        missing = []
        for name in sorted(wanted - ready):
            found = versions.get(name)
            if not found and self._begins(name) == OWN_FILES:
                if not is_ready(name):
                    missing.append(ModelState(name, "-", "", "it is not loaded again yet"))
            elif not found or all(each.reason == UNLOADED for each in found):
                self.unloaded(name)
            elif not any(each.state == "UNLOADING" for each in found):
                missing.append(found[0])
        return missing

    def loaded(self, name: str, config: str | None, files: Mapping[str, bytes] | None) -> None:
        """Remember how a script had a model loaded. config, files: as tritonclient's load_model() takes them."""
        encoded = {path: base64.b64encode(content).decode() for path, content in (files or {}).items()}
        how = json.dumps({"config": config, "files": encoded}).encode()
        self._write(name, (OWN_FILES if files else OF_REPOSITORY) + how)

    def unloaded(self, name: str) -> None:
        """Forget a model."""
        with suppress(OSError):
            (self._directory / name).unlink()

    def how_to_load(self, name: str) -> dict[str, Any]:
        """Tell the arguments of load_model() with which a script had a model loaded, beside its name."""
        with suppress(OSError):
            if content := (self._directory / name).read_bytes():
                how = json.loads(content[1:])
                files = {path: base64.b64decode(encoded) for path, encoded in how["files"].items()}
                return {"config": how["config"], "files": files or None}
        return {}

    def _names(self) -> set[str]:
        with suppress(OSError):
            return {each.name for each in self._directory.iterdir() if not each.name.startswith(".")}
        return set()

    def _begins(self, name: str) -> bytes:
        with suppress(OSError), (self._directory / name).open("rb") as file:
            return file.read(1)
        return b""

    def _write(self, name: str, content: bytes) -> None:
        with suppress(OSError):  # no room on the disk, or no file can have the name: then it is not remembered
            self._directory.mkdir(parents=True, exist_ok=True)
            new = self._directory / f".{os.getpid()}-{name}"
            new.write_bytes(content)
            new.replace(self._directory / name)
