"""create_app: builds each part once and joins them; the only place where parts meet."""

import os
from importlib.metadata import version

from flask import Flask
from flask_cors import CORS

from . import azure_names, event_loops, fast_json, log, signals
from .alarm import AlarmClock
from .entry_script import EntryScript, EntryScriptError
from .interruption import Stacks
from .keys import Keys
from .lifecycle import Lifecycle
from .metrics import Metrics
from .openapi import ApiDocuments
from .prober import Prober
from .readiness import Readiness, end_worker
from .routes import routes
from .scoring import Scoring, Shortcut
from .settings import Settings
from .triton import TritonServer, hand_to_scripts
from .untaken import Untaken


def create_app() -> Flask:
    """Build each part once and join them; called once in each worker, by the master with WORKER_PRELOAD.

    The caller starts `extensions["readiness"]` and `["prober"]`. A script that cannot serve ends the process.
    Raises SettingError.
    """
    settings = Settings.from_environ(os.environ)
    log.configure_as_in(settings.app_root)
    lifecycle = Lifecycle()
    triton = TritonServer(settings) if settings.triton else None
    hand_to_scripts(triton, settings.instance)
    azure_names.install(settings.model_dir, settings.app_root)
    fast_json.hand_to_scripts()
    stacks = Stacks(settings.script_directories)
    clock = AlarmClock(stacks)
    event_loops.hand_to_scripts(stacks)
    say_farewell = signals.hand_to_scripts(clock)
    try:
        script = EntryScript(settings)
        documents = ApiDocuments(script, settings)
    except EntryScriptError as error:
        end_worker(str(error), lifecycle)
    readiness = Readiness(script, triton, lifecycle)
    keys = Keys(settings, preflight=bool(settings.cors_origins) and not script.takes_request)
    counters = Metrics()
    untaken = Untaken()
    scoring = Scoring(script, readiness, counters, untaken, settings, clock)
    server_version = f"scoregate/{version('scoregate')}" if settings.server_version_header else None

    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # /health//live is 404, not a redirect in HTML
    app.register_blueprint(routes(scoring, keys, documents, readiness, counters, triton, server_version))
    if settings.cors_origins:
        CORS(app, methods=["GET", "POST"], origins=settings.cors_origins)
    elif not script.uses_flask:
        # Flask documents this as the way to put something in front.
        app.wsgi_app = Shortcut(app.wsgi_app, scoring, keys, counters, server_version)  # type: ignore[method-assign]
    app.extensions["lifecycle"] = lifecycle
    app.extensions["readiness"] = readiness
    app.extensions["metrics"] = counters
    app.extensions["say_farewell"] = say_farewell
    app.extensions["deadlines"] = scoring.deadlines
    app.extensions["untaken"] = untaken
    if triton:
        app.extensions["prober"] = Prober(triton, lifecycle, settings.ready_probe_s)
    return app
