"""Scoregate: POST /score runs the user's entry script, which asks Triton.

Nothing is imported here before it is asked for: supervisord and Gunicorn's master need few of the modules, and must not
load what belongs into a worker after gevent has patched the standard library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .script.body import Body
    from .triton import TritonModel

__all__ = ["Body", "TritonModel"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what entry scripts use when one does. Source: PEP 562."""
    if name == "Body":
        from .script.body import Body

        return Body
    if name == "TritonModel":
        from .triton import TritonModel

        return TritonModel
    raise AttributeError(f"module 'scoregate' has no attribute {name!r}")
