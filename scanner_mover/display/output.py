"""What goes to standard output and standard error. A plain module."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from scanner_mover.text import printable


def keep_standard_streams() -> None:
    """Open what is closed of standard input, output and error to nowhere, before another file gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - open to the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # UTF-8 also under cron, whose locale is C
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def say(text: str) -> None:
    """One line on standard error; one that cannot be written is no reason to fail."""
    try:
        print(f"scanner-mover: {printable(text)}", file=sys.stderr, flush=True)
    except OSError:
        _give_up(sys.stderr)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """For what prints to standard output: a reader that went away (`| head`) is no reason to fail."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(sys.stdout)


def _give_up(stream: TextIO) -> None:
    """Send STREAM nowhere: what is left of it is flushed by the interpreter at its end, and must not complain then."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
