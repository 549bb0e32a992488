"""Whether the pass that holds the lock hangs: it has had nothing to log for too long. A plain module.

With each message for its log a pass gives its lock file the time of that moment. A C-MOVE logs a line each minute, and
each question to the scanner has its limit, but a disk that does not answer has none.
"""

import contextlib
import os
import time

from scanner_mover.files import open_descriptor, read_regular
from scanner_mover.site.folders import ServerFolders

MOST_SILENT_SECONDS = 1800.0

_MOST_BYTES = 100
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def line(server: ServerFolders) -> str | None:
    """What is wrong with the pass that holds the lock, and what to do; None while it goes on, as far as can be seen."""
    return _line(server, _last_beat(server))


def line_once(server: ServerFolders) -> str | None:
    """As `line`, but only once for each pass that hangs: cron calls us every 15 seconds."""
    beat = _last_beat(server)
    text = _line(server, beat)
    if text is None:
        return None
    this_pass = f"{beat}".encode()
    with contextlib.suppress(OSError):
        if read_regular(server.hanging, _MOST_BYTES) == this_pass:
            return None
    with contextlib.suppress(OSError), open(open_descriptor(server.hanging, _WRITE), "wb") as file:
        file.write(this_pass)
    return text


def _line(server: ServerFolders, beat: float | None) -> str | None:
    """As `line`, for a pass that went on at BEAT last, in seconds of the epoch; None: nobody knows when."""
    silent = None if beat is None else time.time() - beat
    if silent is None or silent < MOST_SILENT_SECONDS:
        return None
    from scanner_mover.transfer.reported import duration  # seldom needed

    return (
        f"a pass holds the lock {server.lock} and has logged nothing for {duration(silent)}: does it hang? "
        f"`fuser {server.lock}` names its process; when that is ended, the next pass goes on"
    )


def _last_beat(server: ServerFolders) -> float | None:
    """When the pass that holds the lock last went on, in seconds of the epoch; None without a lock file."""
    try:
        return os.stat(server.lock).st_mtime
    except OSError:
        return None
