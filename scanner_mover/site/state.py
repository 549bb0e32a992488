"""The state file: what the last passes knew, as one JSON object beside the lock.

It is a memory, not a truth: lost or broken, the pass goes on without it and says so. It holds no patient and may be
read by all. This module reads and writes it and knows what every pass needs; what is kept of each request is in
`transfer.history`. A plain module: every pass reads and writes the state.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence

from scanner_mover.errors import LockHeldError, UnusableError, reason
from scanner_mover.files import read_regular
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.site.disk import write_json
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.lock import Lock

if TYPE_CHECKING:
    from typing import Any

VERSION = 2
_MOST_BYTES = 64 << 20
_LARGEST = 2**53
_LONGEST_WAIT_SECONDS = 2.0
_SECONDS_BETWEEN_NOTES = 3600.0
_MOST_SECONDS_OF_A_PASS = 600.0


class Counters(Record):
    """What is counted since the state file was made: for metrics."""

    failed_pulls: int = 0
    images_received: int = 0
    moves_sent: int = 0
    fruitless_moves: int = 0
    failed_requests: int = 0


class State:
    """What is kept between passes.

    `faults` are the faults that were reported and still hold, `past_faults` those that ended a moment ago, as JSON
    (`transfer.reported`). `unsaid` are lines that could not be written to standard error. `own_disks` are the folders
    that are on disks of their own (`site.folders`). `scanner_down`: the scanner could not be reached in the last pass;
    `silence`: it sends nothing at all (R29), as JSON. `running_since`: when a pass with work to do began, None at its
    end. The counters count since the file was made. `reported` says which files were reported, each once; `requests` is
    what is remembered of each study, as JSON; `events` are those that no hook has heard of yet, as JSON.
    """

    def __init__(self) -> None:
        self.project = ""
        self.started: str | None = None
        self.seconds: float | None = None
        self.exit_status: int | None = None
        self.running_since: str | None = None
        self.faults: list[dict[str, Any]] = []
        self.past_faults: Any = []
        self.unsaid: list[str] = []
        self.own_disks: list[str] = []
        self.scanner_down = False
        self.silence: Any = None
        self.failed_pulls = 0
        self.images_received = 0
        self.moves_sent = 0
        self.fruitless_moves = 0
        self.failed_requests = 0
        self.reported: dict[str, list[str]] = {}
        self.requests: dict[str, Any] = {}
        self.events: list[Any] = []

    @property
    def fault(self) -> str | None:
        """The faults that hold, in one line; None while all is well."""
        texts = [text for one in self.faults if isinstance(text := one.get("text"), str)]
        return "; ".join(texts) or None

    def counters(self) -> Counters:
        """The counters as they stand."""
        return Counters(*(getattr(self, name) for name in Counters._fields))

    def count(self, before: Counters, new: Counters) -> None:
        """Set the counters to BEFORE and what is NEW."""
        for name, known, more in zip(Counters._fields, before, new, strict=True):
            setattr(self, name, known + more)

    def not_yet_reported(self, kind: str, paths: Sequence[str]) -> list[str]:
        """Those of PATHS, all there are of a KIND, that were not reported before; from now on they count as reported.

        Kept are the files' inode numbers and checksums of their names: a name that somebody gave may be a patient's.
        """
        known, now, new = set(self.reported.get(kind, ())), [], []
        for path in paths:
            try:
                status = os.lstat(path)
            except OSError:
                continue
            key = f"{status.st_dev}:{status.st_ino}:{_checksum(path):08x}"
            now.append(key)
            if key not in known:
                new.append(path)
        self.reported[kind] = now
        return new

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the file."""
        kept = {name: value for name, value in vars(self).items() if name not in ("started", "seconds", "exit_status")}
        last = {"started": self.started, "seconds": self.seconds, "exit_status": self.exit_status}
        return {"version": VERSION, "last_pass": last, **kept}


def _checksum(path: str) -> int:
    import binascii  # few passes find a file that is to be reported

    return binascii.crc32(os.fsencode(path))


def load(path: str) -> tuple[State, str | None]:
    """The state in PATH and, when it could not be used, a sentence that says so. No file is a first pass."""
    state = State()
    try:
        value = json.loads(read_regular(path, _MOST_BYTES), parse_float=_finite, parse_constant=_finite)
    except FileNotFoundError:
        return state, None
    except OSError as error:
        return state, f"the state file {path} cannot be read: {reason(error)}; going on without it"
    except (ValueError, RecursionError):
        return state, f"the state file {path} is broken; going on without it"
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return state, f"the state file {path} is not of this version; going on without it"
    _read(state, value)
    return state, None


def _read(state: State, value: dict[str, Any]) -> None:
    """Put into STATE what is usable of VALUE, the object of a state file."""
    last = value.get("last_pass")
    if isinstance(last, dict):
        state.started = _kept(last.get("started"), str)
        seconds = _kept(last.get("seconds"), float, int)
        state.seconds = seconds if seconds is None or 0 <= seconds < 1e9 else None
        state.exit_status = _whole(last.get("exit_status"), None)
    state.running_since = _kept(value.get("running_since"), str)
    state.scanner_down = value.get("scanner_down") is True
    state.silence = value.get("silence")
    for name in Counters._fields:
        setattr(state, name, _whole(value.get(name), 0))
    faults, reported, events = value.get("faults"), value.get("reported"), value.get("events")
    state.past_faults = value.get("past_faults")
    state.unsaid, state.own_disks = _texts(value.get("unsaid")), _texts(value.get("own_disks"))
    if isinstance(faults, list):
        state.faults = [one for one in faults if isinstance(one, dict)]
    if isinstance(reported, dict):
        state.reported = {
            kind: [key for key in keys if isinstance(key, str)]
            for kind, keys in reported.items()
            if isinstance(keys, list)
        }
    if isinstance(value.get("requests"), dict):
        state.requests = value["requests"]
    if isinstance(events, list):
        state.events = events


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _finite(text: str) -> float:
    """A number that JSON has: neither infinite nor NaN. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _kept(value: Any, *types: type) -> Any:
    return value if isinstance(value, types) and not isinstance(value, bool) else None


def _whole(value: Any, default: int | None) -> int | None:
    number = _kept(value, int)
    return number if number is not None and 0 <= number <= _LARGEST else default


def change(server: ServerFolders, apply: Callable[[State], None], *, also_broken: bool) -> None:
    """Change the state file between two passes: to be called with their lock.

    ALSO_BROKEN: one that cannot be read is begun anew; otherwise it stays as it is. Raises UnusableError when it cannot
    be written.
    """
    known, problem = load(server.state)
    if problem is None or also_broken:
        apply(known)
        save(known, server.state, server.new_part())


def change_soon(server: ServerFolders, apply: Callable[[State], None]) -> None:
    """Change the state file with the lock of the passes, which another process holds for a moment at most.

    While a pass of another process holds it, the file stays as it is. Raises UnusableError when it cannot be written.
    """
    lock = Lock()
    try:
        lock.wait_for_file(server.lock, _LONGEST_WAIT_SECONDS)
        change(server, apply, also_broken=False)
    except LockHeldError:
        pass
    finally:
        lock.release()


def save(state: State, path: str, part: str) -> None:
    """Write STATE to PATH in one step, by way of the new file PART beside it.

    Raises UnusableError when it cannot be written.
    """
    try:
        write_json(state.to_json(), path, part)
    except OSError as error:
        raise UnusableError(f"the state file {path} cannot be written: {reason(error)}") from error


def note_failed_write(path: str, now: float) -> bool:
    """Note that the state file PATH could not be written; gives whether that was noted within the last hour.

    A disk without room takes a file's times all the same: the note is a modification time of 0, and when it was made is
    the access time. The next file that is written has other times.
    """
    try:
        times = os.stat(path)
        # Who reads the file may give it a later access time.
        if times.st_mtime == 0 and -_MOST_SECONDS_OF_A_PASS <= now - times.st_atime < _SECONDS_BETWEEN_NOTES:
            return True
        os.utime(path, (now, 0))
    except OSError:
        pass
    return False
