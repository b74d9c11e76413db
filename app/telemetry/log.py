"""The log line, and the id of the request that it belongs to."""

import contextvars
import json
import logging
import logging.config
import re
from pathlib import Path

# A context variable is a greenlet's own, so what a script logs during a request carries that request's id.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="-")


# What a terminal obeys, what breaks a line, what turns its direction, and what cannot be written.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BRACKETS = str.maketrans({"[": r"\x5b", "]": r"\x5d"})


def one_line(text: str) -> str:
    """Escape what a caller may have sent, for any formatter: also one of the script's own (logging.json)."""
    return _readable(text).replace("\n", r"\n").replace("\t", r"\t")


def _readable(text: str) -> str:
    return _CONTROLS.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get().translate(_BRACKETS)  # or it could seem to end before it does
        return True


class _Formatter(logging.Formatter):
    """Only the first line of a record begins at the left: nothing in it, nor in its traceback, passes for another."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return _readable(super().format(record)).replace("\n", "\n  ")


def configure(level: str) -> None:
    """Let every logger write to stdout, one line a record, what else it has (its traceback) indented below."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": _RequestIdFilter}},
            "formatters": {
                "line": {
                    "()": _Formatter,
                    "fmt": "%(asctime)s.%(msecs)03d %(levelname)s [%(process)d] [%(request_id)s] %(name)s: %(message)s",
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
