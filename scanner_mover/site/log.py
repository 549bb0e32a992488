"""The log file: the reference's form of a line, byte for byte (R28).

A line is what `date` prints in the C locale, a colon, a space and the message. A plain module, not `logging`:
passes with nothing to do write one line and must not pay for more.
"""

import os
import time
from collections.abc import Callable

from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import open_descriptor
from scanner_mover.text import printable


class Log:
    """Appends lines to a file; `echo`, if given, is also called with every message."""

    def __init__(self, path: str | None, echo: Callable[[str], None] | None = None) -> None:
        """Open PATH for appending (None: no file, as in a dry run).

        Raises UnusableError when the file cannot be opened.
        """
        self.path = path
        self.echo = echo
        self.failure: str | None = None
        self._file = -1 if path is None else _open(path)

    def reopen(self) -> None:
        """Open the file anew, after logrotate renamed it; one that is closed stays so.

        A file that cannot be opened is kept in `failure`, and the old one goes on.
        """
        if self.path is None or self._file < 0:
            return
        try:
            file = _open(self.path)
        except UnusableError as error:
            self.failure = str(error)
            return
        self.close()
        self._file = file

    def __call__(self, message: str) -> None:
        """Append MESSAGE as one line.

        A write that fails never ends a pass: it is kept in `failure`, and the pass ends with exit status 4.
        """
        message = printable(message)
        if self.echo is not None:
            self.echo(message)
        if self._file < 0:
            return
        line = time.strftime("%a %b %e %H:%M:%S %Z %Y: ") + message + "\n"
        data = line.encode("utf-8")
        try:
            if os.write(self._file, data) < len(data):
                self.failure = f"the log {self.path} cannot be written: No space left on device"
        except OSError as error:
            self.failure = f"the log {self.path} cannot be written: {reason(error)}"

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _open(path: str) -> int:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open_descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, device=True)
    except OSError as error:
        raise UnusableError(f"the log {path} cannot be written: {reason(error)}") from error
