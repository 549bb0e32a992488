"""What each MPPS file said when it was last read: a file that did not change is not read again.

Kept beside the lock. Like the state it is a memory, not a truth: lost or damaged, all files are read once more.
"""

import contextlib
import hashlib
import json
import os
from typing import Any, NamedTuple

from scanner_mover import clock
from scanner_mover.files import read_regular
from scanner_mover.moment import Moment
from scanner_mover.rules.asking import pause_after_hangs
from scanner_mover.site.disk import write_json

_VERSION = 3
_MOST_BYTES = 64 << 20
# A file may be written again within one tick of its file system's clock: one that was just written is not remembered.
_FRESH_NANOSECONDS = 2_000_000_000
# The length of an entry of a file that dcmdump hung on, and of one that was read.
_HANGING, _READ = 3, 5


class Read(NamedTuple):
    """What was read from one MPPS file: the values as they stand in it, and the StudyInstanceUIDs that it is about."""

    sop_instance_uid: str | None
    status: str | None
    end_time: str | None
    study_instance_uids: tuple[str, ...]


class Cache:
    """The files of one folder. A file is known by its name, inode, size and times.

    Of a name only a digest is kept: a name that somebody gave may be a patient's.
    """

    def __init__(self, path: str | None, folder: str) -> None:
        """PATH is the file that the cache is kept in, None for none; FOLDER that of the MPPS files."""
        self._path = path
        self._folder = folder
        self._known = {} if path is None else _load(path, folder)
        self._seen: dict[str, list[Any]] = {}

    def get(self, name: str, status: os.stat_result) -> Read | None:
        """What was read from the file NAME when its STATUS was the same as now; None when it must be read."""
        entry = self._entry(name, status)
        return None if entry is None or len(entry) != _READ else Read(entry[1], entry[2], entry[3], tuple(entry[4]))

    def hangs(self, name: str, status: os.stat_result) -> bool:
        """Whether dcmdump hung on the file NAME, as it is now, and it is too early to try again."""
        entry = self._entry(name, status)
        if entry is None or len(entry) != _HANGING:
            return False
        elapsed = clock.now().since(Moment(*entry[1]))
        return elapsed is not None and elapsed < pause_after_hangs(entry[2])

    def put(self, name: str, status: os.stat_result, read: Read, now_ns: int) -> None:
        """Remember what was READ from the file NAME, whose STATUS was taken before that, NOW_NS after the epoch."""
        if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) > _FRESH_NANOSECONDS:
            self._seen[_key(name)] = [_identity(status), *read[:3], list(read.study_instance_uids)]

    def put_hanging(self, name: str, status: os.stat_result) -> None:
        """Remember that dcmdump hung once more on the file NAME, whose STATUS was taken before that."""
        entry = self._entry(name, status)
        times = entry[2] if entry is not None and len(entry) == _HANGING else 0
        self._seen[_key(name)] = [_identity(status), list(clock.now()), times + 1]

    def _entry(self, name: str, status: os.stat_result) -> list[Any] | None:
        key = _key(name)
        entry = self._known.get(key)
        if entry is None or entry[0] != _identity(status):
            return None
        self._seen[key] = entry
        return entry

    def save(self, part: str) -> None:
        """Keep what was seen, by way of the new file PART; nothing is written when nothing changed."""
        if self._path is None or self._seen == self._known:
            return
        with contextlib.suppress(OSError):  # then all is read once more
            write_json({"version": _VERSION, "folder": self._folder, "files": self._seen}, self._path, part)


def _key(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:24]


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev:x}.{status.st_ino:x}.{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ctime_ns:x}"


def _load(path: str, folder: str) -> dict[str, list[Any]]:
    try:
        value = json.loads(read_regular(path, _MOST_BYTES))
        if value["version"] != _VERSION or value["folder"] != folder:
            return {}
        return {key: entry for key, entry in value["files"].items() if _is_entry(entry)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _is_entry(value: Any) -> bool:
    """Whether VALUE is what `put` or `put_hanging` made."""
    if not (isinstance(value, list) and value and isinstance(value[0], str)):
        return False
    if len(value) == _HANGING:
        return _is_moment(value[1]) and type(value[2]) is int
    if len(value) != _READ or not isinstance(value[4], list):
        return False
    return all(one is None or isinstance(one, str) for one in value[1:4]) and all(
        isinstance(uid, str) for uid in value[4]
    )


def _is_moment(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], float)
