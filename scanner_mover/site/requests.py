"""The requests: files below `active-scans`, closed by moving them to `finished-scans` or `failed-scans` (R10, R26).

A plain module: every pass looks here first. Folders below `active-scans` are entered by descriptor, and no link in
them is followed: whoever may write there moves nothing else with our rights.
"""

import contextlib
import json
import os
import re
import stat
from collections.abc import Sequence

from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import read_regular, shown, shown_folder
from scanner_mover.record import Record
from scanner_mover.site.disk import make_folder, opened_folder

#: The content of a request whose study has no MPPS file (R32).
NO_MPPS_EXPECTED = b'{"mpps": "not expected"}'
_NO_MPPS_OBJECT = json.loads(NO_MPPS_EXPECTED)
_MOST_OF_AN_OBJECT = 100

# Nobody files a request so deep; each level costs a system call for every folder in it.
_MOST_LEVELS = 100
_PART = r"\.[0-9.]+\.[0-9a-f]{16}\.part"


class Request(Record):
    """The files that ask for one study, oldest first; `modified` is the newest one's time in seconds of the epoch.

    `top` is the `active-scans` that they lie below. `ids` are the device and inode of each: which file it is. With
    `mpps_expected` false the request itself says that the study has no MPPS file (R32). A study that was named on the
    command line and not requested has no files.
    """

    study_instance_uid: str
    files: tuple[str, ...] = ()
    modified: float = 0.0
    mpps_expected: bool = True
    top: str = ""
    ids: tuple[tuple[int, int], ...] = ()


class ActiveScans(Record):
    """What lies in `active-scans`: requests, oldest first; files whose names are no UID; a line for each folder that
    cannot be read.
    """

    requests: list[Request]
    not_uids: list[str]
    unreadable: list[str]


class _Found(Record):
    modified: float
    path: str
    id: tuple[int, int]
    mpps_expected: bool


def scan(folder: str) -> ActiveScans:
    """Every regular file anywhere below FOLDER (R10); links are not followed. No folder, no requests.

    A request expects MPPS files unless all of its files say that there are none.
    """
    found: dict[str, list[_Found]] = {}
    not_uids: list[str] = []
    unreadable: list[str] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        below = waiting.pop()
        try:
            if len(below) > _MOST_LEVELS:
                raise OSError(f"it lies more than {_MOST_LEVELS} levels deep")
            waiting += [(*below, name) for name in _look_into(folder, below, found, not_uids)]
        except FileNotFoundError:
            if not below and os.path.islink(folder):
                unreadable.append(f"the folder {folder} leads nowhere: is its disk mounted?")
        except OSError as error:
            unreadable.append(f"{shown_folder(folder, below)} cannot be read: {reason(error)}")
    requests = [_request(uid, folder, sorted(files)) for uid, files in found.items()]
    requests.sort(key=lambda request: (request.modified, request.study_instance_uid))
    return ActiveScans(requests, sorted(not_uids), list(dict.fromkeys(unreadable)))


def _look_into(top: str, below: tuple[str, ...], found: dict[str, list[_Found]], not_uids: list[str]) -> list[str]:
    """Add the files of one folder to FOUND and NOT_UIDS; gives the names of the folders in it. Raises OSError."""
    folders: list[str] = []
    files: dict[str, os.stat_result] = {}
    path = os.path.join(top, *below)
    with opened_folder(top, below) as descriptor:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif not entry.is_file(follow_symlinks=False) or re.fullmatch(_PART, entry.name):
                    continue
                elif not is_uid(entry.name):
                    not_uids.append(os.path.join(path, entry.name))
                else:
                    # One that was taken away since the folder was read is no request.
                    with contextlib.suppress(FileNotFoundError):
                        files[entry.name] = entry.stat(follow_symlinks=False)
        for name, status in files.items():
            expected = not _says_no_mpps(descriptor, name, status)
            one = _Found(status.st_mtime, os.path.join(path, name), (status.st_dev, status.st_ino), expected)
            found.setdefault(name, []).append(one)
    return folders


def _says_no_mpps(folder: int, name: str, status: os.stat_result) -> bool:
    """Whether a request holds the object of R32, as we write it or as an editor leaves it."""
    if not len(NO_MPPS_EXPECTED) - 1 <= status.st_size <= _MOST_OF_AN_OBJECT:
        return False
    try:
        content = read_regular(name, _MOST_OF_AN_OBJECT, dir_fd=folder, follow=False)
        return bool(json.loads(content.decode("utf-8-sig")) == _NO_MPPS_OBJECT)
    except (OSError, ValueError, RecursionError):
        return False


def _request(study_instance_uid: str, top: str, files: Sequence[_Found]) -> Request:
    """The request of FILES, oldest first."""
    return Request(
        study_instance_uid,
        tuple(file.path for file in files),
        files[-1].modified,
        any(file.mpps_expected for file in files),
        top,
        tuple(file.id for file in files),
    )


def left_alone(folder: str, not_uids: Sequence[str]) -> list[str]:
    """The lines for the log about files in FOLDER that are NOT_UIDS; a name that may be a patient's is not in them."""
    return [
        f"{text} is left alone: its name is no StudyInstanceUID"
        if files == 1
        else f"{text} are left alone: their names are no StudyInstanceUIDs"
        for text, files in shown(folder, not_uids)
    ]


def age(request: Request, now: float) -> float | None:
    """Seconds since REQUEST was last touched, as its files are at this moment; a time in the future is age 0 (R24).

    NOW is in seconds of the epoch. None when none of its files is left.
    """
    times = []
    for path in request.files:
        with contextlib.suppress(OSError):
            times.append(os.stat(path, follow_symlinks=False).st_mtime)
    return max(0.0, now - max(times)) if times else None


def close(request: Request, folder: str) -> list[str]:
    """Move the files of REQUEST to FOLDER, made when missing; gives the files that were moved.

    Their content is kept. Files of one name become one, the newest: a request is one file. A file that was taken away
    or replaced since the request was found is left out: the next pass looks at the new one.

    Raises UnusableError when a file cannot be moved, or a folder on its way became a link.
    """
    from scanner_mover.site import request_file  # few passes close anything

    make_folder(folder)
    moved = []
    for number, path in enumerate(request.files):
        *below, name = os.path.relpath(path, request.top or os.path.dirname(path)).split(os.sep)
        try:
            with opened_folder(request.top or os.path.dirname(path), below) as source, opened_folder(folder) as target:
                status = os.stat(name, dir_fd=source, follow_symlinks=False)
                is_it = not request.ids or request.ids[number] == (status.st_dev, status.st_ino)
                if not is_it or not stat.S_ISREG(status.st_mode):
                    continue
                request_file.move(source, name, target, request.study_instance_uid, status)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnusableError(f"{path} cannot be moved to {folder}: {reason(error)}") from error
        moved.append(path)
    return moved


def remove_older(folder: str, study_instance_uid: str) -> bool:
    """Remove what an earlier request for a study left in FOLDER, now that a later one is closed; False: nothing.

    Raises UnusableError when it cannot be removed.
    """
    path = os.path.join(folder, study_instance_uid)
    try:
        with opened_folder(folder) as target:
            if not stat.S_ISREG(os.stat(study_instance_uid, dir_fd=target, follow_symlinks=False).st_mode):
                return False
            os.unlink(study_instance_uid, dir_fd=target)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnusableError(f"{path}, which an earlier request left, cannot be removed: {reason(error)}") from error
    return True


def write(folder: str, study_instance_uid: str, *, mpps_expected: bool) -> bool:
    """Write a request for a study into FOLDER, made when missing; False when one is there already, which is kept.

    Raises UnusableError when it cannot be written.
    """
    from scanner_mover.site import request_file

    make_folder(folder)
    try:
        with opened_folder(folder) as target:
            return request_file.write(target, study_instance_uid, b"" if mpps_expected else NO_MPPS_EXPECTED)
    except OSError as error:
        raise UnusableError(f"{os.path.join(folder, study_instance_uid)} cannot be written: {reason(error)}") from error


def put_back(path: str, folder: str) -> bool:
    """Move the closed request PATH back to FOLDER, which is `active-scans`, with its content and a fresh time.

    False when the study is requested there already; then PATH stays. Raises UnusableError when it cannot be moved.
    """
    from scanner_mover.site import request_file

    make_folder(folder)
    closed, study_instance_uid = os.path.split(path)
    try:
        with opened_folder(closed) as source, opened_folder(folder) as target:
            return request_file.put_back(source, target, study_instance_uid)
    except OSError as error:
        raise UnusableError(f"{path} cannot be moved to {folder}: {reason(error)}") from error
