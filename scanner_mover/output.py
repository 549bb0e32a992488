"""What goes to standard output and standard error. A plain module."""

import contextlib
import os
import sys
from collections.abc import Iterator

from scanner_mover.log import printable


def say(text: str) -> None:
    """One line on standard error; one that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError):
        print(f"scanner-mover: {printable(text)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """For what prints to standard output: a reader that went away (`| head`) is no reason to fail."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What the interpreter flushes at its end goes nowhere, and so without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
