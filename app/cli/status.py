"""The state of a running service, for the person who asks."""

import tempfile
from pathlib import Path

from ..health.lifecycle import Lifecycle
from ..settings import Settings
from .runtime_directory import LIFECYCLE


def show(settings: Settings) -> int:
    """Print the state of the service with this HOST and PORT. Returns the exit code: 0 if it runs."""
    try:
        service = Lifecycle(Path(tempfile.gettempdir()) / settings.instance / LIFECYCLE)
    except OSError:
        print(f"stopped: no service has HOST={settings.host} PORT={settings.port}")  # noqa: T201
        return 1
    ready = f"{len(service.ready_workers())} of {service.worker_count} workers can score"
    print(f"{service.state.value}: {ready}, process {service.path.readlink().parts[2]}")  # noqa: T201
    if service.models_failing:
        print(service.models_failing)  # noqa: T201
    return 0
