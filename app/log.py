"""The log line, and the id of the request that it belongs to."""

import contextvars
import json
import logging
import logging.config
from pathlib import Path
from typing import Any

from gunicorn import glogging
from gunicorn.config import Config

# A context variable is a greenlet's own, so what a script logs during a request carries that request's id.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def configure(level: str) -> None:
    """Let every logger write to stdout, one line a record (and its traceback)."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": _RequestIdFilter}},
            "formatters": {
                "line": {
                    "format": "%(asctime)s.%(msecs)03d %(levelname)s [%(process)d] [%(request_id)s] "
                    "%(name)s: %(message)s",
                    "datefmt": "%Y-%m-%dT%H:%M:%S",
                }
            },
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "line",
                    "filters": ["request_id"],
                }
            },
            "root": {"level": level, "handlers": ["stdout"]},
        }
    )


def configure_as_in(directory: Path) -> None:
    """Apply the directory's logging.json, if there is one, on top. Source: Azure ML's inference server."""
    if (file := directory / "logging.json").is_file():
        logging.config.dictConfig(json.loads(file.read_text(encoding="utf-8")))


class GunicornLogger(glogging.Logger):
    """Gunicorn's log as part of ours, from warnings on: that workers boot is told when they can score."""

    def setup(self, cfg: Config) -> None:  # noqa: ARG002 - Gunicorn's signature
        """Use what configure() has set up."""
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)

    def access(self, *_: Any) -> None:  # noqa: ANN401
        """Write no access log: Gunicorn's took a tenth of a worker's time, and the metrics count requests."""
