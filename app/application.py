"""create_app: builds each part once and joins them; the only place where parts meet."""

import os
from importlib.metadata import version

from flask import Flask
from flask_cors import CORS

from .eventloop.alarm import AlarmClock
from .eventloop.interruption import Stacks
from .health.lifecycle import Lifecycle
from .health.model_prober import Prober
from .health.readiness import Readiness, end_worker
from .scoring.pipeline import Scoring
from .script import alterations
from .script.entry_script import EntryScript, EntryScriptError
from .server.untaken import Untaken
from .settings import Settings
from .telemetry import log
from .telemetry.metrics import Metrics
from .triton import TritonServer
from .web.auth import Keys
from .web.openapi import ApiDocuments
from .web.routes import routes
from .web.wsgi import FastScore


def create_app() -> Flask:
    """Build each part once and join them; called once in each worker, by the master with WORKER_PRELOAD.

    The caller starts `extensions["readiness"]` and `["prober"]`. A script that cannot serve ends the process.
    Raises SettingError.
    """
    settings = Settings.from_environ(os.environ)
    log.configure_as_in(settings.app_root)
    lifecycle = Lifecycle()
    triton = TritonServer(settings) if settings.triton else None
    stacks = Stacks(settings.script_directories)
    clock = AlarmClock(stacks)
    say_farewell = alterations.install(settings, triton, stacks, clock)
    try:
        script = EntryScript(settings)
        documents = ApiDocuments(script, settings)
    except EntryScriptError as error:
        end_worker(str(error), lifecycle)
    readiness = Readiness(script, triton, lifecycle)
    keys = Keys(settings, preflight=bool(settings.cors_origins) and not script.takes_request)
    counters = Metrics()
    untaken = Untaken()
    scoring = Scoring(script, readiness, counters, untaken.require_room, settings, clock)
    server_version = f"scoregate/{version('scoregate')}" if settings.server_version_header else None

    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # /health//live is 404, not a redirect in HTML
    app.register_blueprint(routes(scoring, keys, documents, readiness, counters, triton, server_version))
    if settings.cors_origins:
        CORS(app, methods=["GET", "POST"], origins=settings.cors_origins)
    elif not script.uses_flask:
        # Flask documents this as the way to put something in front.
        app.wsgi_app = FastScore(app.wsgi_app, scoring, keys, counters, server_version)  # type: ignore[method-assign]
    app.extensions["lifecycle"] = lifecycle
    app.extensions["readiness"] = readiness
    app.extensions["metrics"] = counters
    app.extensions["say_farewell"] = say_farewell
    app.extensions["deadlines"] = scoring.deadlines
    app.extensions["untaken"] = untaken
    if triton:
        app.extensions["prober"] = Prober(triton, lifecycle, settings.ready_probe_s)
    return app
