"""Standard output or error as a stream that never raises, and that can stop waiting for its reader. A plain module."""

from __future__ import annotations

import io
import time

from scanner_mover import signals
from scanner_mover.errors import reason
from scanner_mover.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_NEW_LINE = 0x0A
# So many bytes a pipe takes without waiting once it is writable at all (pipe(7)).
_PIPE_BUF = 4096
# For how long a reader is waited for when a signal has asked us to end, and how often that is looked at.
_LONGEST_WAIT_AT_AN_END_SECONDS = 1.0
_LOOK_SECONDS = 0.2


class Stream(io.FileIO):
    """Writes to a file descriptor that stays open. After the first failure what is written is thrown away.

    `failure` says why, until `renew`; who says it to a person notes that in `reported`. `given_up` throws everything
    away without a failure. A reader that does not read is waited for as long as it takes; with `most_seconds` no longer
    than that for each write, and no longer than a second once a signal has asked us to end. No signal ends a write:
    to print a line must not keep a pass from its next step.
    """

    def __init__(self, descriptor: int, *, is_closed: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: str | None = None
        self.reported: str | None = None
        self.given_up = False
        self.most_seconds: float | None = None
        self._is_closed = is_closed
        self._in_a_line = False
        self._line_is_torn = False

    def write(self, data: Any, /) -> int:
        """Write DATA or throw it away; gives its length, or how much of it was written."""
        if self._is_closed:
            self.failure = "it is closed"
        if self.failure is not None or self.given_up:
            return len(data)
        try:
            if self._line_is_torn:
                self._write_some(b"\n")
                self._line_is_torn = False
            return self._write_some(data)
        except OSError as error:
            self.failure = reason(error)
            return len(data)

    def renew(self) -> None:
        """Try again from the next write on; what comes then begins a line of its own."""
        self._line_is_torn = self._in_a_line
        self.failure = None

    def _write_some(self, data: Any) -> int:
        data = memoryview(data)[:_PIPE_BUF]
        self._wait()
        # None: it cannot be written now, and somebody set it to say so (O_NONBLOCK).
        while (written := super().write(data)) is None:
            self._wait()
        self._in_a_line = data[written - 1] != _NEW_LINE
        return written

    def _wait(self) -> None:
        import select  # a pass that prints nothing does not need it

        began = time.monotonic()
        while not select.select([], [self], [], _LOOK_SECONDS)[1]:
            most = _LONGEST_WAIT_AT_AN_END_SECONDS if signals.is_ending() else self.most_seconds
            if most is not None and time.monotonic() - began >= most:
                raise TimeoutError(f"nobody read it for {most:g} s")
