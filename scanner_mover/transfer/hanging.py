"""Whether the pass that holds the lock hangs: it has had nothing to log for too long. A plain module.

With each message for its log a pass gives its lock file the time of that moment. One that goes on is hardly ever silent
for so long: a C-MOVE logs a line each minute, and each question to the scanner has its limit. A disk that does not
answer has none.
"""

import contextlib
import os
import time

from scanner_mover.files import open_descriptor, read_regular
from scanner_mover.site.folders import ServerFolders

MOST_SILENT_SECONDS = 1800.0

_MOST_BYTES = 100


def line(server: ServerFolders) -> str | None:
    """What is wrong with the pass that holds the lock, and what to do; None while it goes on, as far as can be seen."""
    written, lock = _last_beat(server), server.lock
    if written is None or time.time() - written < MOST_SILENT_SECONDS:
        return None
    from scanner_mover.transfer.reported import duration  # seldom needed

    return (
        f"a pass holds the lock {lock} and has logged nothing for {duration(time.time() - written)}: does it hang? "
        f"`fuser {lock}` names its process; when that is ended, the next pass goes on"
    )


def line_once(server: ServerFolders) -> str | None:
    """As `line`, but only once for each pass that hangs: cron calls us every 15 seconds."""
    text = line(server)
    if text is None:
        return None
    this_pass = f"{_last_beat(server)}".encode()
    try:
        if read_regular(server.hanging, _MOST_BYTES) == this_pass:
            return None
    except OSError:
        pass
    with contextlib.suppress(OSError):
        file = open_descriptor(server.hanging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(file, this_pass)
        finally:
            os.close(file)
    return text


def _last_beat(server: ServerFolders) -> float | None:
    """When the pass that holds the lock last went on, in seconds of the epoch; None without a lock file."""
    try:
        return os.stat(server.lock).st_mtime
    except OSError:
        return None
