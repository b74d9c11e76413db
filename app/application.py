"""create_app: builds each part once and joins them; the only place where parts meet."""

import os

from flask import Flask

from .entry_script import EntryScript
from .lifecycle import Lifecycle
from .metrics import Metrics
from .routes import routes
from .settings import Settings
from .triton import TritonServer, hand_to_scripts


def create_app() -> Flask:
    """Build each part once and join them; called once in each worker. Raises SettingError, EntryScriptError.

    The caller starts `extensions["lifecycle"]`.
    """
    settings = Settings.from_environ(os.environ)
    triton = TritonServer(settings) if settings.triton else None
    hand_to_scripts(triton.url if triton else None)
    script = EntryScript(settings.entry_script, settings.app_root)
    lifecycle = Lifecycle(script, triton)
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # /health//live is 404, not a redirect in HTML
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.register_blueprint(routes(script, lifecycle, Metrics(), triton))
    app.extensions["lifecycle"] = lifecycle
    return app
