"""Find out whether a script asks Flask for the request at hand, as it could on Azure ML, where Flask was the server."""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

SERVICE = __package__.partition(".")[0]  # whose own modules may lie below APP_ROOT, as in a clone
FREE = frozenset(("Response", "Request", "abort"))  # what works without Flask's contexts


def needs_context(script: Path, directories: Iterable[Path]) -> bool:
    """Tell whether a script, or an imported module from one of the directories, uses flask.request or its like."""
    files = {script}
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        installed = name.partition(".")[0] == SERVICE or "site-packages" in file.parts
        if file.suffix == ".py" and not installed and any(file.is_relative_to(each) for each in directories):
            files.add(file)
    return any(_uses_context(each) for each in files)


def _uses_context(file: Path) -> bool:
    text = file.read_bytes()
    if b"flask" not in text:
        return False
    tree = ast.parse(text)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "flask":
            if any(each.name not in FREE for each in node.names):
                return True
        elif isinstance(node, ast.Import):
            names |= {each.asname or "flask" for each in node.names if each.name.partition(".")[0] == "flask"}
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        and node.attr not in FREE
        for node in ast.walk(tree)
    )
