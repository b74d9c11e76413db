"""Gunicorn's log, as a part of the service's."""

import logging
from typing import Any

from gunicorn import glogging
from gunicorn.config import Config


class GunicornLogger(glogging.Logger):
    """Gunicorn's log as part of ours, from warnings on: that workers boot is told when they can score."""

    def setup(self, cfg: Config) -> None:  # noqa: ARG002 - Gunicorn's signature
        """Use what configure() has set up."""
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)

    def access(self, *_: Any) -> None:  # noqa: ANN401
        """Write no access log: Gunicorn's took a tenth of a worker's time, and the metrics count requests."""
