"""A tool that runs: what it says is read line by line, and it is ended when it makes no progress."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Seconds between asking a tool to end and killing it.
_GRACE_SECONDS = 2.0
# No tool prints more than this by itself; one that does is broken and is ended.
_MOST_BYTES = 256 * 1024 * 1024
_MOST_LINE = 1024 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """When a tool is ended; None: never.

    When for `stall_seconds` it printed nothing and the value of `progress` stayed the same, or when for `most_seconds`
    that value stayed the same, whatever it printed.
    """

    stall_seconds: float | None = None
    most_seconds: float | None = None
    progress: Callable[[], Any] | None = None


class Child:
    """A tool that runs: its lines are read in a thread of ours, which ends a tool that makes no progress.

    sh's own reading would keep a line that never ends in memory, whole. `ended` says why the thread ended the tool.
    """

    def __init__(
        self,
        process: Any,
        out: int,
        err: int,
        heard: Callable[[str, bool], None],
        limits: Limits,
    ) -> None:
        self.ended: str | None = None
        self._process = process
        self._streams = {out: _Lines(lambda line: heard(line, False)), err: _Lines(lambda line: heard(line, True))}
        self._limits = limits
        self._over = threading.Event()
        self._silent = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def exit_status(self) -> int:
        """The exit status, or the negative number of the signal that ended it; waits for its end."""
        return int(self._process.exit_code)

    def falls_silent(self, seconds: float) -> bool:
        """Wait at most SECONDS for it to close its streams, as it does when it ends; gives whether it has."""
        return self._silent.wait(seconds)

    def wait(self) -> None:
        """Wait until it ends by itself or is ended by the thread."""
        self._process.wait()

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return bool(self._process.is_alive())

    def end(self) -> None:
        """End what is left of it and of its process group, and read what it still said."""
        if self.is_alive():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
        self._signal(signal.SIGKILL)
        # A signal to us can come when its end was told to sh and not yet noted: then nobody can be told again.
        with contextlib.suppress(ChildProcessError):
            self.wait()
        self._over.set()
        self._reading.join()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pgid, number)

    def _read(self) -> None:
        """Read both streams to their end, and watch (in a thread of its own)."""
        poll = select.poll()
        for stream in self._streams:
            poll.register(stream, select.POLLIN)
        left = set(self._streams)
        limits = self._limits
        seen: Any = None
        since = changed = look_at = time.monotonic()
        tick = 0.5 if limits.stall_seconds is None else min(0.5, limits.stall_seconds / 4)
        ready: list[tuple[int, int]] = []
        over = False
        # Once the tool has ended, what it said is read, and whoever else holds its streams open is not waited for.
        while ready or not over:
            over = self._over.is_set()
            ready = poll.poll(0 if over else tick * 1000) if left else []
            for stream, _ in ready:
                chunk = os.read(stream, _CHUNK)
                if chunk:
                    self._streams[stream].feed(chunk)
                else:
                    poll.unregister(stream)
                    left.remove(stream)
            if not left:
                self._silent.set()
                self._over.wait(tick)
            size = sum(lines.size for lines in self._streams.values())
            if size > _MOST_BYTES:
                self._stop("ended: it printed without end")
            elif time.monotonic() >= look_at:
                look_at = time.monotonic() + tick
                now = size, limits.progress() if limits.progress is not None else None
                if seen is None or now[1] != seen[1]:
                    changed = time.monotonic()
                if now != seen:
                    seen, since = now, time.monotonic()
                for most, began in ((limits.stall_seconds, since), (limits.most_seconds, changed)):
                    if most is not None and time.monotonic() - began >= most:
                        self._stop(f"ended: no progress for {most:g} seconds")
        self._silent.set()
        for stream, lines in self._streams.items():
            os.close(stream)
            lines.flush()

    def _has_ended(self) -> bool:
        """Whether it ended by itself; looks only, and leaves its end to be told to sh."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _stop(self, verdict: str) -> None:
        """Ask the tool to end, and kill it when it does not."""
        if self.ended is None and not self._over.is_set() and not self._has_ended():
            self.ended = verdict
            self._signal(signal.SIGTERM)
            if not self._over.wait(_GRACE_SECONDS):
                self._signal(signal.SIGKILL)


class _Lines:
    """Makes lines of chunks; of a line that is too long only the beginning is kept."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self.size = 0
        self._heard = heard
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
            self._heard(self._part.rstrip(b"\r").decode("utf-8", "surrogateescape"))
            self._part.clear()
