"""The service's directory below TMPDIR: one service has it, told by a lock, and makes it anew when it is removed."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..settings import SettingError

LIFECYCLE = "lifecycle"  # a link to the file with the service's state, for `status`
OWNER = "supervisord.pid"


class RuntimeDirectory:
    """The directory of one service. Files in it are for people and commands; the service reads its state elsewhere."""

    def __init__(self, path: Path, lifecycle: Path) -> None:
        self.path = path
        self._lifecycle = lifecycle
        self._lock: int | None = None

    def take(self) -> bool:
        """Make the directory, or empty one that a killed service left; tell whether one did.

        Raises SettingError if it cannot be had.
        """
        while not self._lock_it():
            pass  # its last owner has just removed it
        try:
            left = list(self.path.iterdir())
            for entry in left:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        except OSError as error:
            raise self._unusable(error) from None
        self.keep({})
        return bool(left)

    def keep(self, programs: Mapping[str, int]) -> bool:
        """Make anew what is missing; tell whether that was the whole directory.

        programs: name to process id, 0 for one that does not run. What cannot be written now is tried again at the next
        call.
        """
        is_new = False
        with contextlib.suppress(OSError, SettingError):
            if self._lock is None or not self._is_in_place(self._lock):
                is_new = self._lock_it()
            self._write(programs)
        return is_new

    def remove(self) -> None:
        """Remove the directory, if it is still this service's."""
        if self._lock is not None and self._is_in_place(self._lock):
            shutil.rmtree(self.path, ignore_errors=True)

    def _lock_it(self) -> bool:
        """Lock the directory, which is made if it is missing; tell whether the lock is on what has the name now."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if os.fstat(lock).st_uid != os.getuid():
                raise PermissionError(0, "it belongs to another user")
            os.fchmod(lock, 0o700)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self.path.parent.is_dir():
                return False
            raise self._unusable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SettingError(
                f"{self.path} belongs to a service that runs{self._owner()}. Stop that one, or choose another PORT."
            ) from None
        if not self._is_in_place(lock):
            os.close(lock)
            return False
        if self._lock is not None:
            os.close(self._lock)
        self._lock = lock
        return True

    def _unusable(self, error: OSError) -> SettingError:
        return SettingError(
            f"{self.path} cannot be this service's directory: {error.strerror}. Remove it, or set TMPDIR."
        )

    def _is_in_place(self, lock: int) -> bool:
        try:
            return os.path.samestat(os.fstat(lock), self.path.lstat())
        except OSError:
            return False

    def _owner(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return f", process {int((self.path / OWNER).read_text())}"
        return ""

    def _write(self, programs: Mapping[str, int]) -> None:
        link = self.path / LIFECYCLE
        if not link.is_symlink():
            link.symlink_to(self._lifecycle)
        pids = {OWNER: os.getpid()} | {f"{name}.pid": pid for name, pid in programs.items() if pid}
        for name, pid in pids.items():
            file = self.path / name
            if not file.exists() or file.read_bytes().strip() != str(pid).encode():
                file.with_suffix(".new").write_text(str(pid))
                file.with_suffix(".new").replace(file)
