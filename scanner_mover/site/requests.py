"""The requests: files below `active-scans`, closed by moving them to `finished-scans` or `failed-scans` (R10, R26).

A plain module: every pass looks here first.
"""

import contextlib
import errno
import os
import stat
from typing import NamedTuple

from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.site.disk import make_folder, sync_folder


class Request(NamedTuple):
    """The files that ask for one study, oldest first; `modified` is the newest one's time in seconds of the epoch.

    A study that was named on the command line and not requested has no files.
    """

    study_instance_uid: str
    files: tuple[str, ...] = ()
    modified: float = 0.0


class ActiveScans(NamedTuple):
    """What lies in `active-scans`: requests, oldest first; names that are no UID; folders that cannot be read."""

    requests: list[Request]
    not_uids: list[str]
    unreadable: list[str]


def scan(folder: str) -> ActiveScans:
    """Every regular file anywhere below FOLDER; links are not followed. No folder, no requests."""
    files: dict[str, list[tuple[float, str]]] = {}
    not_uids: list[str] = []
    unreadable: list[str] = []
    folders = [folder]
    while folders:
        current = folders.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        continue
                    elif not is_uid(entry.name):
                        not_uids.append(entry.path)
                    else:
                        # One that was taken away since the folder was read is no request.
                        with contextlib.suppress(FileNotFoundError):
                            modified = entry.stat(follow_symlinks=False).st_mtime
                            files.setdefault(entry.name, []).append((modified, entry.path))
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable.append(f"the folder {current} cannot be read: {reason(error)}")
    requests = [
        Request(study_instance_uid, tuple(path for _, path in sorted(found)), max(found)[0])
        for study_instance_uid, found in files.items()
    ]
    requests.sort(key=lambda request: (request.modified, request.study_instance_uid))
    return ActiveScans(requests, sorted(not_uids), unreadable)


def age(request: Request, now: float) -> float | None:
    """Seconds since REQUEST was last touched, as its files are at this moment; a time in the future is age 0 (R24).

    None when none of its files is left.
    """
    times = []
    for path in request.files:
        with contextlib.suppress(OSError):
            times.append(os.stat(path).st_mtime)
    return max(0.0, now - max(times)) if times else None


def close(request: Request, folder: str) -> list[str]:
    """Move the files of REQUEST to FOLDER, made when missing; gives the files that were moved.

    Their content is kept. Files of one name become one, the newest: a request is one file. One that was taken away
    meanwhile is left out of what is returned.

    Raises UnusableError when a file cannot be moved.
    """
    make_folder(folder)
    moved = []
    for path in request.files:
        try:
            _move(path, os.path.join(folder, request.study_instance_uid))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnusableError(f"{path} cannot be moved to {folder}: {reason(error)}") from error
        moved.append(path)
    return moved


def _move(path: str, target: str) -> None:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise FileNotFoundError(path)
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # `finished-scans` may be on another disk: whole on it before it is gone here.
        import shutil

        folder, name = os.path.split(target)
        part = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(path, "rb") as source, open(os.open(part, flags, 0o600), "wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(path, part)
        os.rename(part, target)
        sync_folder(folder)
        os.unlink(path)
