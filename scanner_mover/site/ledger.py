"""The ledger: one line of JSON for each study that was closed, with the counts that it was closed with (R39).

`status --audit` compares a study with it: images that the site cleaned up later are not taken for lost, and series
that arrived late are found. It holds no patient and may be read by all. A line counts only together with the request in
`finished-scans` or `failed-scans`: it is written just before the request moves.
"""

from __future__ import annotations

import json
import os

from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import open_descriptor, open_regular
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site.disk import sync_folder

if TYPE_CHECKING:
    from typing import Any

# A study of some thousand series has a line of this length.
_MOST_LINE = 1 << 20
# What a study can be closed as.
_CLOSED = (Outcome.FINISHED, Outcome.FAILED)


class SeriesCounts(Record):
    """One series of a closed study: the images that were expected, None where nobody knew, and those that were here."""

    series_instance_uid: str
    expected: int | None
    received: int


class Entry(Record):
    """One closed study, FINISHED or FAILED: `time` in ISO 8601, and for one that failed the reason.

    `incomplete` says that it was finished although images of it had vanished from the scanner (R36).
    """

    study_instance_uid: str
    time: str
    outcome: Outcome
    reason: str | None = None
    series: tuple[SeriesCounts, ...] = ()
    incomplete: bool = False


def append(path: str, entry: Entry) -> None:
    """Add a line with ENTRY to the ledger PATH, made when missing; it is on the disk when this returns.

    Raises UnusableError when it cannot be written; then nothing of it counts.
    """
    line = (json.dumps(_to_json(entry)) + "\n").encode("ascii")
    try:
        new = not os.path.exists(path)
        descriptor = open_descriptor(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if new:
                os.fchmod(descriptor, 0o644)
            _append(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(os.path.dirname(path))
    except OSError as error:
        raise UnusableError(f"the ledger {path} cannot be written: {reason(error)}") from error


def _append(descriptor: int, line: bytes) -> None:
    """Write LINE in one piece, on a line of its own also where the last one was torn. Raises OSError."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = 0
    try:
        while written < len(line):  # the disk that was full may say so only at the second piece
            written += os.write(descriptor, line[written:])
    except OSError:
        if written and os.fstat(descriptor).st_size == size + written:
            os.ftruncate(descriptor, size)
        raise


def read(path: str) -> dict[str, Entry]:
    """The ledger PATH by StudyInstanceUID; of a study that was closed more than once the last line counts.

    A line that is damaged is left out. No file, no entries. Raises UnusableError when it cannot be read.
    """
    entries: dict[str, Entry] = {}
    try:
        with open_regular(path) as file:
            whole = True
            while line := file.readline(_MOST_LINE):
                begins, whole = whole, line.endswith(b"\n")
                entry = _parse(line) if begins and (whole or len(line) < _MOST_LINE) else None
                if entry is not None:
                    entries[entry.study_instance_uid] = entry
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnusableError(f"the ledger {path} cannot be read: {reason(error)}") from error
    return entries


def _to_json(entry: Entry) -> dict[str, Any]:
    return {
        "study": entry.study_instance_uid,
        "time": entry.time,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "series": [series._asdict() for series in entry.series],
        "incomplete": entry.incomplete,
    }


def _parse(line: bytes) -> Entry | None:
    try:
        value = json.loads(line)
        uid, time, why = (value[name] for name in ("study", "time", "reason"))
        outcome = Outcome(value["outcome"])
        series = tuple(SeriesCounts(**one) for one in value["series"])
        incomplete = value["incomplete"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    good = isinstance(uid, str) and is_uid(uid) and isinstance(time, str) and isinstance(incomplete, bool)
    if not (good and outcome in _CLOSED and (why is None or isinstance(why, str)) and all(map(_is_count, series))):
        return None
    return Entry(uid, time, outcome, why, series, incomplete)


def _is_count(series: SeriesCounts) -> bool:
    counts = [series.received] if series.expected is None else [series.received, series.expected]
    return isinstance(series.series_instance_uid, str) and all(type(count) is int and count >= 0 for count in counts)
