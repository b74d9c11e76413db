"""Who may come in: callers with a key, as Azure's web services have them."""

import logging
from hmac import compare_digest
from os import stat_result
from pathlib import Path
from time import monotonic
from typing import Any

from .errors import Unauthorized
from .settings import Settings

LOG = logging.getLogger("scoregate")
LOOK_S = 1.0  # between two looks at the file


class Keys:
    """The keys that open the service; any of them does, so that one can be replaced while the other is in use.

    From AUTH_KEYS, and from the lines of AUTH_KEYS_FILE, which is read again when it has changed. While it cannot be
    read, or is empty, the keys that it had stay: a secret that is being replaced opens nothing and locks nobody out.
    """

    def __init__(self, settings: Settings, preflight: bool) -> None:
        """preflight: whether browsers may ask without a key what they may send (CORS)."""
        self._given = [key.encode() for key in settings.auth_keys]
        self._file = settings.auth_keys_file
        self._preflight = preflight
        self._covered = {"/score"}
        if settings.auth_metrics:
            self._covered.add("/metrics")
        if settings.auth_api_document:
            self._covered.add("/swagger.json")
        self._keys = self._given
        self._read: tuple[int, int] | None = None
        self._looked = 0.0
        if self._file:
            self._look(self._file)

    def require(self, environ: dict[str, Any], route: str) -> None:
        """Let a request pass. Raises Unauthorized when its route needs a key and it has none that fits.

        Source: RFC 6750, section 2.1, Authorization: Bearer.
        """
        if self._file and monotonic() - self._looked > LOOK_S:
            self._look(self._file)
        if not (self._keys or self._file) or route not in self._covered:
            return
        if self._preflight and environ["REQUEST_METHOD"] == "OPTIONS":
            return
        scheme, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = key.strip().encode("latin-1")
        fits = [compare_digest(given, each) for each in self._keys]  # all, so that the time tells nothing of which one
        if scheme.lower() != "bearer" or not any(fits):
            raise Unauthorized("The request has no valid key. Send the header 'Authorization: Bearer <key>'.")

    def _look(self, file: Path) -> None:
        self._looked = monotonic()
        try:
            state = file.stat()
            if _identity(state) == self._read:
                return
            keys = file.read_bytes().split()
        except OSError as error:
            LOG.warning("AUTH_KEYS_FILE %s cannot be read: %s. The keys stay as they are.", file, error.strerror)
            return
        self._read = _identity(state)
        if keys:
            self._keys = [*self._given, *keys]
        else:
            LOG.warning("AUTH_KEYS_FILE %s holds no key. The keys stay as they are.", file)


def _identity(state: stat_result) -> tuple[int, int]:
    return state.st_ino, state.st_mtime_ns
