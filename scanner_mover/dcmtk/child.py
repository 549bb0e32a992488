"""A tool that runs: its output is read line by line, and it is ended when it makes no progress.

sh is asked to connect the tool to two pipes of ours (`_out`, `_err`: a file descriptor) instead of to call us for each
line (`_out`: a function). Measured with sh 2.4.0: of a tool that prints 200 MB without an end of line, sh keeps all of
it, 610 MB of memory, and takes 2.3 s; reading it here takes 4 MB and 0.3 s. sh's time limit (`_timeout`) costs 106 ms a
call and ends the tool alone, not the processes that it started. So a thread of ours reads and watches.
"""

import contextlib
import enum
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from scanner_mover import signals

# Seconds between asking a tool to end and killing it.
_GRACE_SECONDS = 2.0
# No tool prints more than this by itself; one that does is broken and is ended.
_MOST_BYTES = 256 * 1024 * 1024
_MOST_LINE = 1024 * 1024
_CHUNK = 64 * 1024
_LONGEST_TICK_SECONDS = 0.5


class Why(enum.Enum):
    """Why we ended a tool."""

    NO_PROGRESS = "it made no progress"
    TOO_LONG = "it printed, but made no progress"
    ENDLESS_OUTPUT = "it printed without end"
    LIMIT = "what it did went over a limit of its caller"


class Ending(NamedTuple):
    """That we ended a tool, and why: for a program and for a person."""

    why: Why
    text: str


@dataclass(frozen=True)
class Limits:
    """When a tool is ended; None: never.

    It is ended when for `stall_seconds` it printed nothing and the value of `progress` stayed the same, when for
    `most_seconds` that value stayed the same, whatever it printed, and when `over_limit` gives a text: that is why.
    Both functions are called in the thread that reads, a few times a second, `over_limit` also whenever something was
    read. They must not raise. A tool that needs more than `most_memory_bytes` of address space crashes.
    """

    stall_seconds: float | None = None
    most_seconds: float | None = None
    progress: Callable[[], Any] | None = None
    over_limit: Callable[[], str | None] | None = None
    most_memory_bytes: int | None = None

    @property
    def tick_seconds(self) -> float:
        """How long to wait between two looks."""
        if self.stall_seconds is None:
            return _LONGEST_TICK_SECONDS
        return min(_LONGEST_TICK_SECONDS, self.stall_seconds / 4)


class Child:
    """A tool that runs. `ended` says why the thread that reads its output ended it; None: it did not."""

    def __init__(
        self, process: Any, out: int, err: int, on_output: Callable[[str, bool], None], limits: Limits
    ) -> None:
        """PROCESS is sh's, OUT and ERR are our ends of its pipes.

        `on_output` gets each line and whether it came on standard error, in the thread that reads. It must not raise.
        """
        self.ended: Ending | None = None
        self._process = process
        self._streams = {
            out: _Lines(lambda line: on_output(line, False)),
            err: _Lines(lambda line: on_output(line, True)),
        }
        self._limits = limits
        self._over = threading.Event()
        self._silent = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def group(self) -> int:
        """The number of its process group, which it leads."""
        return int(self._process.pgid)

    @property
    def exit_status(self) -> int:
        """The exit status, or the negative number of the signal that ended it. Waits for its end."""
        return int(self._process.exit_code)

    def falls_silent(self, seconds: float) -> bool:
        """Wait at most SECONDS for it to close its streams, as it does when it ends; gives whether it has."""
        return self._silent.wait(seconds)

    def wait(self) -> None:
        """Wait until it ends by itself or is ended by the thread. Raises Ended."""
        # Not in sh: it waits for threads of its own, which no signal may interrupt.
        with contextlib.suppress(ChildProcessError):
            signals.waiting(os.waitid, os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._process.wait()

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return bool(self._process.is_alive())

    def end(self) -> None:
        """End what is left of it and of its process group, and read the rest of its output."""
        if self.is_alive():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)  # noqa: TID251 - a clean-up
        self._signal(signal.SIGKILL)
        # The kernel reports an end only once, and a signal may have come before sh noted it.
        with contextlib.suppress(ChildProcessError):
            self.wait()
        self._over.set()
        self._reading.join()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pgid, number)

    def _read(self) -> None:
        """Read both streams to their end, and watch. The body of the thread."""
        poll = select.poll()
        for stream in self._streams:
            poll.register(stream, select.POLLIN)
        open_streams = set(self._streams)
        watch = _Watch(self._limits)
        over, more = False, True
        # Once the tool has ended, its output is read, but not for as long as another process holds its streams open.
        while more or not over:
            over = self._over.is_set()
            more = self._read_some(poll, open_streams, 0 if over else self._limits.tick_seconds)
            ending = watch.judge(sum(lines.size for lines in self._streams.values()))
            if ending is not None:
                self._stop(ending)
        self._silent.set()
        for stream, lines in self._streams.items():
            os.close(stream)
            lines.flush()

    def _read_some(self, poll: select.poll, open_streams: set[int], seconds: float) -> bool:
        """Wait at most SECONDS for output, and read what there is; gives whether there was any."""
        if not open_streams:
            self._silent.set()
            self._over.wait(seconds)
            return False
        ready = poll.poll(seconds * 1000)
        for stream, _ in ready:
            chunk = os.read(stream, _CHUNK)
            if chunk:
                self._streams[stream].feed(chunk)
            else:
                poll.unregister(stream)
                open_streams.remove(stream)
        return bool(ready)

    def _has_ended(self) -> bool:
        """Whether it ended by itself. It only looks (WNOWAIT), so that sh still learns of the end."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _stop(self, ending: Ending) -> None:
        """Ask the tool to end, and kill it when it does not."""
        if self.ended is None and not self._over.is_set() and not self._has_ended():
            self.ended = ending
            self._signal(signal.SIGTERM)
            if not self._over.wait(_GRACE_SECONDS):
                self._signal(signal.SIGKILL)


class _Watch:
    """Judges again and again whether a tool may go on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: tuple[int, Any] | None = None
        self._seen_since = self._progress_since = self._next_look = time.monotonic()

    def judge(self, size: int) -> Ending | None:
        """Why the tool, which has printed SIZE bytes until now, must be ended; None: it may go on."""
        if size > _MOST_BYTES:
            return Ending(Why.ENDLESS_OUTPUT, "ended: it printed without end")
        if self._limits.over_limit is not None and (text := self._limits.over_limit()) is not None:
            return Ending(Why.LIMIT, text)
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + self._limits.tick_seconds
        self._look(size)
        for why, most, since in (
            (Why.NO_PROGRESS, self._limits.stall_seconds, self._seen_since),
            (Why.TOO_LONG, self._limits.most_seconds, self._progress_since),
        ):
            if most is not None and time.monotonic() - since >= most:
                return Ending(why, f"ended: no progress for {most:g} s")
        return None

    def _look(self, size: int) -> None:
        """Note what has changed since the last look."""
        now = size, self._limits.progress() if self._limits.progress is not None else None
        if self._seen is None or now[1] != self._seen[1]:
            self._progress_since = time.monotonic()
        if now != self._seen:
            self._seen, self._seen_since = now, time.monotonic()


class _Lines:
    """Makes lines of chunks. Of a line that is too long only the beginning is kept."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.size = 0
        self._on_line = on_line
        self._part = bytearray()

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > _MOST_BYTES:
            return
        *whole, rest = chunk.split(b"\n")
        for end in whole:
            self._add(end)
            self.flush()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._part += part[: max(0, _MOST_LINE - len(self._part))]

    def flush(self) -> None:
        if self._part:
            self._on_line(self._part.rstrip(b"\r").decode("utf-8", "surrogateescape"))
            self._part.clear()
