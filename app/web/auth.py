"""Who may come in: callers with a key, as Azure's web services have them."""

import logging
import os
from functools import cache
from hmac import compare_digest
from os import stat_result
from pathlib import Path
from time import monotonic
from typing import Any

from ..errors import Unauthorized
from ..settings import SettingError, Settings

LOG = logging.getLogger("scoregate")
LOOK_S = 1.0  # between two looks at the file
LEAST_CHARACTERS = 16  # of a key that is not easily guessed


class UnusableFile(ValueError):
    """A file of keys cannot be taken as it is; the text says where and why."""


def read_keys(file: Path) -> list[bytes]:
    """Read one key a line. A line that begins with # is a comment. Raises UnusableFile, OSError."""
    keys = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        key = line.strip()
        if not key or line.startswith(b"#"):
            continue
        if len(key.split()) > 1:
            raise UnusableFile(f"line {number} is a key with a blank inside")
        keys.append(key)
    return keys


def check_file(settings: Settings) -> None:
    """Raise SettingError if a service cannot start with this AUTH_KEYS_FILE."""
    file = settings.auth_keys_file
    try:
        if file:
            read_keys(file)
    except OSError:
        raise SettingError(
            f"AUTH_KEYS_FILE={str(file)!r} is not a file that can be read. Correct it, or leave it out."
        ) from None
    except UnusableFile as error:
        raise SettingError(
            f"AUTH_KEYS_FILE={str(file)!r}: {error}. Write one key a line, and # before a comment."
        ) from None


class KeyRing:
    """The keys that open the service; any of them does, so that one can be replaced while the other is in use.

    From AUTH_KEYS, and from the lines of AUTH_KEYS_FILE, which is read again when it has changed. While that cannot be
    read, is empty, or has a key with a blank inside, the keys that it had stay: a secret that is being replaced opens
    nothing and locks nobody out. Gunicorn's master has one, and its workers begin with copies of it. So a worker that
    starts beside an unusable file has the keys of the last usable one, and the master alone tells the log.
    """

    def __init__(self, given: tuple[str, ...], file: Path | None) -> None:
        self.file = file
        self._given = [key.encode() for key in given]
        self.keys = self._given
        self._read: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._trouble = ""
        self._owner = os.getpid()
        if file:
            self.look()
        else:
            self._warn_of_short()

    def look_again(self) -> None:
        """Look at the file if the last look was a while ago."""
        if self.file and monotonic() - self._looked_at > LOOK_S:
            self.look()

    def look(self) -> None:
        """Take the file's keys up if it has changed."""
        if not self.file:
            return
        self._looked_at = monotonic()
        try:
            identity = _identity(self.file.stat())
            if identity == self._read:
                return
            keys = read_keys(self.file)
        except OSError as error:
            self._read = None
            self._tell(logging.WARNING, f"cannot be read: {error.strerror}")
            return
        except UnusableFile as error:
            self._read = identity
            self._tell(logging.ERROR, f"is refused: {error}")
            return
        self._read = identity
        if not keys:
            self._tell(logging.WARNING, "holds no key")
            return
        self._trouble = ""
        self.keys = [*self._given, *keys]
        self._warn_of_short()

    def _tell(self, level: int, trouble: str) -> None:
        if trouble != self._trouble and os.getpid() == self._owner:
            LOG.log(level, "AUTH_KEYS_FILE %s %s. The keys stay as they are.", self.file, trouble)
        self._trouble = trouble

    def _warn_of_short(self) -> None:
        if os.getpid() == self._owner and any(len(key) < LEAST_CHARACTERS for key in self.keys):
            LOG.warning("A key has fewer than %d characters, and may be guessed. Take longer ones.", LEAST_CHARACTERS)


@cache
def key_ring(given: tuple[str, ...], file: Path | None) -> KeyRing:
    """Get this process's keys: in a worker, as its master had them when it was started."""
    return KeyRing(given, file)


class Keys:
    """Which routes need one of the keys, and whether a request has it."""

    def __init__(self, settings: Settings, preflight: bool) -> None:
        """preflight: whether browsers may ask without a key what they may send (CORS)."""
        self._ring = key_ring(tuple(settings.auth_keys), settings.auth_keys_file)
        self._preflight = preflight
        self._covered = set()
        if settings.needs_key:
            self._covered.add("/score")
            if settings.auth_metrics:
                self._covered.add("/metrics")
            if settings.auth_api_document:
                self._covered.add("/swagger.json")

    def require(self, environ: dict[str, Any], route: str) -> None:
        """Let a request pass. Raises Unauthorized when its route needs a key and it has none that fits.

        Source: RFC 6750, section 2.1, Authorization: Bearer.
        """
        if route not in self._covered:
            return
        if self._preflight and environ["REQUEST_METHOD"] == "OPTIONS":
            return
        self._ring.look_again()
        scheme, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = key.strip().encode("latin-1")
        fits = [compare_digest(given, each) for each in self._ring.keys]  # all: the time does not tell which one
        if scheme.lower() != "bearer" or not any(fits):
            raise Unauthorized("The request has no valid key. Send the header 'Authorization: Bearer <key>'.")


def _identity(state: stat_result) -> tuple[int, int]:
    return state.st_ino, state.st_mtime_ns
