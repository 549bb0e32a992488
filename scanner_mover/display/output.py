"""What goes to standard output, to standard error, and to the files that other programs read. A plain module.

Output can fail at any time: a disk is full, a reader goes away, a stream is closed. Then what is printed is given up,
the rest of the program notices nothing, and `finish` says so at the end.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Iterator

from scanner_mover.display.stream import Stream
from scanner_mover.errors import ExitStatus, UnusableError, reason, worst
from scanner_mover.record import TYPE_CHECKING
from scanner_mover.text import printable

if TYPE_CHECKING:
    from typing import Any, TextIO

# For how long a pass, which holds the lock, waits for who reads what it prints.
_LONGEST_WAIT_OF_A_PASS_SECONDS = 30


def keep_standard_streams() -> None:
    """Make standard output and error such that printing never fails; both are UTF-8, also under cron's C locale.

    What is closed is opened to nowhere first, before another file gets its number.
    """
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            closed.append(number)
    streams = [
        io.TextIOWrapper(
            io.BufferedWriter(Stream(number, is_closed=number in closed)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=number == 2 or os.isatty(number),
        )
        for number in (1, 2)
    ]
    sys.stdout, sys.stderr = streams


def limit_waiting() -> None:
    """From now on each write waits at most 30 s for its reader: for a pass, which holds the lock."""
    for stream in (_raw(sys.stdout), _raw(sys.stderr)):
        if stream is not None:
            stream.most_seconds = _LONGEST_WAIT_OF_A_PASS_SECONDS


def say(text: str) -> bool:
    """One line on standard error; whether it was written there."""
    with contextlib.suppress(OSError):
        print(f"scanner-mover: {printable(text)}", file=sys.stderr, flush=True)
    return _failure_of(sys.stderr) is None


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """For what prints to standard output: whatever became of it, the pass goes on."""
    yield
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def put(text: str, file: str | None = None) -> None:
    """Write TEXT to standard output, or in one step to FILE. Raises UnusableError when FILE cannot be written."""
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


def finish(exit_status: int, *, was_the_job: bool) -> int:
    """Bring to standard output what is not there yet; gives the exit status of the program, so far EXIT_STATUS.

    Where that fails or failed before, and the output WAS THE JOB, the status is 4 at least.
    """
    if bring_out() or not was_the_job:
        return exit_status
    return worst([exit_status, ExitStatus.UNUSABLE])


def bring_out() -> bool:
    """Bring to standard output what is not there yet; whether all that was printed arrived.

    Where it did not, one line says so, unless the last time it was for the same reason. What is printed next is tried
    anew.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    raw, failure = _raw(sys.stdout), _failure_of(sys.stdout)
    if raw is not None:
        if failure is not None and failure != raw.reported:
            say(f"standard output cannot be written: {failure}")
        raw.reported = failure
    return failure is None


def _failure_of(stream: TextIO) -> str | None:
    """Why something was not written to STREAM, None when all was; what is written next is tried anew."""
    raw = _raw(stream)
    failure = None if raw is None else raw.failure
    if raw is not None and failure is not None:
        raw.renew()
    return failure


def give_up(stream: TextIO) -> None:
    """Throw away what STREAM has not written yet, and what comes: a reader that does not read must hold nobody."""
    raw = _raw(stream)
    if raw is not None:
        raw.given_up = True


def _raw(stream: object) -> Stream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Stream) else None


def _replace(path: str, text: str) -> None:
    """Write TEXT to the file PATH by way of a new file beside it: a reader sees the old text or the new one.

    A link stays a link. Raises UnusableError, also for what is no regular file: a rename would replace a device.
    """
    try:
        place = os.path.realpath(path)
        folder, name = os.path.split(place)
        # Hidden, and without the suffix of PATH: the node exporter reads every *.prom.
        part = os.path.join(folder, f".{name[:100]}.{os.urandom(8).hex()}.part")
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
