"""Gunicorn's workers and hooks. The numbers come from Settings."""

import logging
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from gevent import monkey
from scoregate.health import ready_banner
from scoregate.server.connection_share import Count
from scoregate.settings import SettingError, Settings
from scoregate.telemetry import log
from scoregate.web import auth

try:
    settings = Settings.from_environ(os.environ)
except SettingError as error:
    sys.exit(str(error))

wsgi_app = "scoregate.application:create_app()"
worker_class = "scoregate.server.worker.Worker"
ports = [settings.port, *([settings.health_port] if settings.separate_health_endpoint else [])]
bind = [f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}" for port in ports]
if settings.tls_cert_file:
    certfile, keyfile = str(settings.tls_cert_file), str(settings.tls_key_file)
preload_app = settings.worker_preload
if preload_app:  # Gunicorn's worker patches too late for modules that the master has imported
    monkey.patch_all()
workers = settings.worker_count
timeout = settings.worker_timeout_s
graceful_timeout = settings.stop_s

keepalive = 1  # on; for how long is the worker's
# Admission enough for the idle keep-alive connections of load balancers, and files to go with them.
worker_connections = 10_000
_, files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

http_parser = "python"  # where gunicorn_h1c is installed, "auto" takes it: no faster here, and not as strict
forwarder_headers = ""  # a SCRIPT_NAME header of a caller on this machine, such as a sidecar, would change the path
control_socket_disable = True  # its default place is $HOME, which a container's user may not have
log.configure(settings.log_level)
logger_class = "scoregate.server.gunicorn_log.GunicornLogger"

# The processes' metric files, none of a master that died before this one. prometheus_client reads the variable when it
# is imported, so it is set before that.
metrics_directory = Path(tempfile.gettempdir(), f"metrics-{os.getpid()}")
metrics_directory.mkdir(parents=True, exist_ok=True)  # a process id may come again
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_directory)
started_in = Path.cwd()


def on_starting(master: Any) -> None:  # noqa: ANN401 - our Master
    """Give the master the keys that its workers begin with."""
    master.keys = auth.key_ring(tuple(settings.auth_keys), settings.auth_keys_file)


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ANN401 - our Master and Worker
    """Give a new worker a place among those that share the connections."""
    worker.count = Count(each.count for each in server.WORKERS.values())


def post_worker_init(worker: Any) -> None:  # noqa: ANN401 - our Worker
    """Let a new worker get ready."""
    worker.lifecycle = worker.wsgi.extensions["lifecycle"]
    worker.readiness = worker.wsgi.extensions["readiness"]
    worker.metrics = worker.wsgi.extensions["metrics"]
    worker.deadlines = worker.wsgi.extensions["deadlines"]
    worker.untaken = worker.wsgi.extensions["untaken"]
    worker.readiness.start(worker.age == 1, announce)
    if prober := worker.wsgi.extensions.get("prober"):
        prober.start()


def worker_exit(_: Any, worker: Any) -> None:  # noqa: ANN401 - our Master and Worker
    """Let the script clean up, if its worker got as far as to load it."""
    if app := getattr(worker, "wsgi", None):
        app.extensions["say_farewell"]()


def announce(models: Any) -> None:  # noqa: ANN401 - list[ModelState], whose module may only be imported in a worker
    """Tell in the log that the service is ready."""
    logging.getLogger("scoregate").info("%s", ready_banner.ready(settings, models, started_in))
    if warning := ready_banner.open_to_all(settings):
        logging.getLogger("scoregate").warning("%s", warning)
