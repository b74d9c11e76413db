"""The terminal that a service was started from."""

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Take the terminal, if there is one, for the time of the service.

    Ctrl-C signals the terminal's foreground process group. `make` in that group would end as "Interrupted" with a
    failure code however well the service stopped; with a group of its own the service alone gets the signal.
    """
    try:
        owner = os.tcgetpgrp(0)
    except OSError:  # not a terminal
        owner = None
    if owner != os.getpgrp():
        yield
        return
    # Ctrl-Z would stop us but not `make`, and the shell would wait for ever; changing the group from the background
    # (on the way back) would stop us, too.
    for number in (signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it was closed
            os.tcsetpgrp(0, owner)
