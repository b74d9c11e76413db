"""The digits example, but a request with the header x-strain logs, imports and computes before it asks Triton."""

import importlib.util
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits" / "score.py"
MODULES = 20
MODULE = "for number in range(30_000):\n    pass\nwhole = True\n"  # takes 1 ms, so that a deadline can cut its import
LONGEST_S = 0.04
LOG = logging.getLogger("strained")
digits: ModuleType


def init() -> None:
    """Load the example, write modules to import, log to where nobody reads: each line takes the handler's lock."""
    global digits
    spec = importlib.util.spec_from_file_location("digits", EXAMPLE)
    assert spec
    assert spec.loader
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    digits.init()

    directory = Path(tempfile.mkdtemp())
    for number in range(MODULES):
        (directory / f"lazy_{number}.py").write_text(MODULE)
    sys.path.append(str(directory))

    LOG.addHandler(logging.StreamHandler(Path(os.devnull).open("w")))  # noqa: SIM115 - as long as the process
    LOG.propagate = False


def run(data: str, request_headers: dict[str, str]) -> dict[str, object]:
    """Answer as the example does."""
    if "X-Strain" in request_headers:
        strain()
    return {"script": 0, **digits.run(data)}


def strain() -> None:
    """Compute for a while. Raises AttributeError for a module whose import was cut and that stayed."""
    end = time.monotonic() + random.uniform(0, LONGEST_S)
    while time.monotonic() < end:
        name = f"lazy_{random.randrange(MODULES)}"
        sys.modules.pop(name, None)
        module = importlib.import_module(name)
        for _ in range(20):
            LOG.info("%s imported: %s", name, module.whole)
