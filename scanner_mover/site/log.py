"""The log file, with the reference's form of a line, byte for byte (R28).

A line is what `date` prints in the C locale, a colon, a space and the message. A plain module, and not `logging`: a
pass with nothing to do writes one line, and importing `logging` would take longer than the rest of it.
"""

import os
import time
from collections.abc import Callable

from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import open_descriptor
from scanner_mover.text import printable


class Log:
    """Appends lines to a file. `echo`, if there is one, is called with every message too.

    `failure` says why the log could not be written, None while it can. `beat` is called with each message.
    """

    def __init__(self, path: str | None, echo: Callable[[str], object] | None = None) -> None:
        """Open PATH, made when missing, for appending. None means no file, as in a dry run.

        PATH may be a character device such as /dev/null. Raises UnusableError when it cannot be opened.
        """
        self.path = path
        self.echo = echo
        self.failure: str | None = None
        self.beat: Callable[[], None] = lambda: None
        self._is_old = False
        self._file = -1 if path is None else _open(path)

    def reopen(self) -> None:
        """Open the file anew before the next line, after logrotate renamed it. For the handler of a signal.

        A closed log stays closed. If the file cannot be opened, `failure` says so, and lines go on into the old one.
        """
        self._is_old = True

    def _open_anew(self) -> None:
        self._is_old = False
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
        """Append MESSAGE as one line; characters that could break the line are written as escapes.

        A write that fails does not end the pass: `failure` says so, and the pass ends with exit status 4.
        """
        message = printable(message)
        self.beat()
        if self._is_old:
            self._open_anew()
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
        """Close the file. Closing it twice does no harm."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _open(path: str) -> int:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open_descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, device=True)
    except OSError as error:
        todo = "; give it to the user that runs this program" if isinstance(error, PermissionError) else ""
        raise UnusableError(f"the log {path} cannot be written: {reason(error)}{todo}") from error
