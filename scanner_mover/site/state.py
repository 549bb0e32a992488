"""The state file: what the last passes knew, as one JSON object beside the lock.

It is a memory, not a truth: lost or broken, the pass goes on without it and says so. It holds no patient and may be
read by all. This module reads and writes it and knows what every pass needs; what is kept of each request is in
`knowledge`. A plain module: every pass reads and writes the state.
"""

import binascii
import json
import math
import os
from collections.abc import Sequence
from typing import Any

from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import read_regular
from scanner_mover.site.disk import write_json

VERSION = 1
_MOST_BYTES = 64 << 20


class State:
    """What is kept between passes.

    `fault` is the line that standard error was last told, None while all is well; `scanner_fault` whether it is
    one that only the scanner's answer can end; `scanner_down` whether the scanner
    could not be reached in the last pass; `failed_pulls` and `images_received` count since the file was made; `noted`
    which files were told of that are told of only once; `requests` the memory of each study, still as JSON.
    """

    def __init__(self) -> None:
        self.project = ""
        self.started: str | None = None
        self.seconds: float | None = None
        self.exit_status: int | None = None
        self.fault: str | None = None
        self.scanner_fault = False
        self.scanner_down = False
        self.failed_pulls = 0
        self.images_received = 0
        self.noted: dict[str, list[str]] = {}
        self.requests: dict[str, Any] = {}

    def new_among(self, kind: str, paths: Sequence[str]) -> list[str]:
        """Those of PATHS, all there are of a KIND, that were not told before; from now on they were.

        Kept are the files' inode numbers and checksums of their names: a name that somebody gave may be a patient's.
        """
        known, now, new = set(self.noted.get(kind, ())), [], []
        for path in paths:
            try:
                status = os.lstat(path)
            except OSError:
                continue
            key = f"{status.st_dev}:{status.st_ino}:{binascii.crc32(os.fsencode(path)):08x}"
            now.append(key)
            if key not in known:
                new.append(path)
        self.noted[kind] = now
        return new

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the file."""
        return {
            "version": VERSION,
            "project": self.project,
            "last_pass": {"started": self.started, "seconds": self.seconds, "exit_status": self.exit_status},
            "fault": self.fault,
            "scanner_fault": self.scanner_fault,
            "scanner_down": self.scanner_down,
            "failed_pulls": self.failed_pulls,
            "images_received": self.images_received,
            "noted": self.noted,
            "requests": self.requests,
        }


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
    last = value.get("last_pass")
    if isinstance(last, dict):
        state.started = _kept(last.get("started"), str)
        seconds = _kept(last.get("seconds"), float, int)
        state.seconds = seconds if seconds is None or 0 <= seconds < 1e9 else None
        state.exit_status = _kept(last.get("exit_status"), int)
    state.fault = _kept(value.get("fault"), str)
    state.scanner_fault = value.get("scanner_fault") is True
    state.scanner_down = value.get("scanner_down") is True
    state.failed_pulls = _kept(value.get("failed_pulls"), int) or 0
    state.images_received = _kept(value.get("images_received"), int) or 0
    noted, requests = value.get("noted"), value.get("requests")
    if isinstance(noted, dict):
        state.noted = {
            kind: [key for key in keys if isinstance(key, str)]
            for kind, keys in noted.items()
            if isinstance(keys, list)
        }
    if isinstance(requests, dict):
        state.requests = requests
    return state, None


def _finite(text: str) -> float:
    """A number that JSON has: neither infinite nor none. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _kept(value: Any, *types: type) -> Any:
    return value if isinstance(value, types) else None


def save(state: State, path: str, part: str) -> None:
    """Write STATE to PATH in one step, by way of the new file PART beside it.

    Raises UnusableError when it cannot be written.
    """
    try:
        write_json(state.to_json(), path, part)
    except OSError as error:
        raise UnusableError(f"the state file {path} cannot be written: {reason(error)}") from error
