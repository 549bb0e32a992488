"""What goes to standard output, to standard error, and to the files that other programs read. A plain module.

Output can fail at any time: a disk is full, a reader goes away, a terminal is closed. What was written by then is
given up; the work goes on.
"""

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from scanner_mover.errors import UnusableError, reason
from scanner_mover.text import printable


def keep_standard_streams() -> None:
    """Open the closed ones of standard input, output and error to nowhere, before another file gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - stays open to the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - stays open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # UTF-8 also under cron, whose locale is C
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str) -> None:
    """Write one line to standard error. A line that cannot be written is given up."""
    try:
        print(f"scanner-mover: {printable(text)}", file=sys.stderr, flush=True)
    except OSError:
        give_up(sys.stderr)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Print to standard output within it. A reader that went away (`| head`) is no fault.

    Raises UnusableError when standard output cannot be written for another reason, such as a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        give_up(sys.stdout)
    except OSError as error:
        give_up(sys.stdout)
        raise UnusableError(f"standard output cannot be written: {reason(error)}") from error


def put(text: str, file: str | None = None) -> None:
    """Write TEXT, all of it in one piece, to standard output or in one step to FILE.

    Raises UnusableError when it cannot be written.
    """
    if file is None:
        with printing():
            sys.stdout.write(text)
    else:
        _replace(file, text)


def json_line(value: Any) -> str:
    """VALUE as one line of JSON. It is readable, but a terminal obeys nothing in it."""
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text + "\n"


def give_up(stream: TextIO) -> None:
    """Send STREAM to nowhere. The interpreter flushes the rest of it at its end, and must not complain then."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _replace(path: str, text: str) -> None:
    """Write TEXT to the file PATH by way of a new file beside it: a reader sees the old text or the new one.

    A link stays a link. Raises UnusableError, also for what is no regular file: a rename would replace a device.
    """
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    # Hidden, and without the suffix of PATH: the node exporter reads every *.prom.
    part = os.path.join(folder, f".{name[:100]}.{os.urandom(8).hex()}.part")
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(place).st_mode):
                raise UnusableError(f"{path} is not a regular file")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
                file.write(text.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
    except OSError as error:
        raise UnusableError(f"{path} cannot be written: {reason(error)}") from error
