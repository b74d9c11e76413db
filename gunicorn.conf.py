"""Gunicorn's workers and hooks. The numbers come from Settings."""

import logging
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from gevent import monkey
from scoregate import announcement, log
from scoregate.settings import SettingError, Settings

try:
    settings = Settings.from_environ(os.environ)
except SettingError as error:
    sys.exit(str(error))

wsgi_app = "scoregate.application:create_app()"
worker_class = "scoregate.worker.Worker"
bind = [f"{settings.host}:{settings.port}"]
if settings.separate_health_endpoint:
    bind.append(f"{settings.host}:{settings.health_port}")
preload_app = settings.worker_preload
if preload_app:  # Gunicorn's worker patches too late for modules that the master has imported
    monkey.patch_all()
workers = settings.worker_count
timeout = settings.worker_timeout_s
graceful_timeout = 30

# An idle keep-alive connection costs a greenlet and a place among worker_connections. Load balancers keep connections
# for about a minute and must not find them closed first; there are places enough for that, and files to go with them.
keepalive = 75
worker_connections = 10_000
_, files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

http_parser = "python"  # where gunicorn_h1c is installed, "auto" takes it: no faster here, and not as strict
forwarder_headers = ""  # a SCRIPT_NAME header of a caller on this machine, such as a sidecar, would change the path
control_socket_disable = True  # its default place is $HOME, which a container's user may not have
log.configure(settings.log_level)
logger_class = "scoregate.log.GunicornLogger"

# The processes' metric files, none of a master that died before this one. prometheus_client reads the variable when it
# is imported, so it is set before that.
metrics_directory = Path(tempfile.gettempdir(), f"metrics-{os.getpid()}")
metrics_directory.mkdir(exist_ok=True)  # a reload comes here again
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_directory)
started_in = Path.cwd()


def on_starting(server: Any) -> None:  # noqa: ANN401 - Gunicorn's Arbiter
    """Give the master metrics of its own."""
    from scoregate.metrics import Metrics

    server.metrics = Metrics()


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 - our Worker
    """Let a new worker get ready; the first one tells when it is."""
    worker.wsgi.extensions["lifecycle"].start(announce if worker.age == 1 else None)


def announce(models: Any) -> None:  # noqa: ANN401 - list[ModelState], whose module may only be imported in a worker
    """Tell in the log that the service is ready."""
    logging.getLogger("scoregate").info("%s", announcement.ready(settings, models, started_in))
    if warning := announcement.open_to_all(settings):
        logging.getLogger("scoregate").warning("%s", warning)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ANN401
    """Forget a dead worker's gauges, and count it, unless the service is stopping."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
    if server.LISTENERS:
        server.metrics.worker_restarts.inc()
