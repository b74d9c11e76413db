"""What a script finds in place of other libraries' names, made before it is loaded, in this order."""

from collections.abc import Callable

from .. import triton
from ..eventloop import script_loops, script_signals
from ..eventloop.alarm import AlarmClock
from ..eventloop.interruption import Stacks
from ..settings import Settings
from . import azure_names, fast_json


def install(
    settings: Settings, server: triton.TritonServer | None, stacks: Stacks, clock: AlarmClock
) -> Callable[[], None]:
    """Put ours in place of tritonclient's clients, Azure's names, json.loads, asyncio's loops and signal's functions.

    Returns what calls the script's SIGTERM handler, for the worker's end.
    """
    triton.install(server, settings.instance)
    azure_names.install(settings.model_dir, settings.app_root)
    fast_json.install()
    script_loops.install(stacks)
    return script_signals.install(clock)
