"""Files that somebody else may have put in place: opened so that a pass never hangs, named so that no patient shows.

A plain module: every pass reads its configuration, its switch and its state through it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Sequence

from scanner_mover.errors import UnusableError
from scanner_mover.record import TYPE_CHECKING
from scanner_mover.text import counted

if TYPE_CHECKING:
    from typing import BinaryIO

# A UID of at least three groups with other word characters around it: `MPPS.1.2.3`, `1.2.3.dcm`.
# Compiled when it is first needed: a pass with nothing to do has no time for it.
_WORD_WITH_UID = r"(?:[A-Za-z]+[._-]?)?[0-2](?:\.[0-9]+){2,}(?:[._-]?[A-Za-z]+)?"
_MOST_NAME = 100


def absolute(path: str) -> str:
    """PATH as an absolute one, from the working folder on.

    Raises UnusableError for a relative one when the working folder was removed.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise UnusableError(
            f"{path} is relative to a working folder that was removed: change to another, or give absolute paths"
        ) from None


def open_descriptor(
    path: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None, device: bool = False
) -> int:
    """Open the regular file PATH with FLAGS (open(2)) and give its descriptor, closed on exec. It never waits.

    DIR_FD is the folder that a relative PATH begins in. DEVICE allows a character device, such as /dev/null, too.
    Raises OSError when the file cannot be opened or is a FIFO, a socket, a device or a folder: a FIFO that nobody
    writes to, or a terminal, would hold the pass for ever.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        # Before it is opened: opening a device can do something to it.
        _require_file(os.stat(path, dir_fd=dir_fd, follow_symlinks=not flags & os.O_NOFOLLOW), path, device)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
    try:
        _require_file(os.fstat(descriptor), path, device)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_regular(path: str, *, dir_fd: int | None = None, follow: bool = True) -> BinaryIO:
    """Open the regular file PATH for reading; without FOLLOW a link is refused.

    Raises OSError as `open_descriptor` does.
    """
    flags = os.O_RDONLY if follow else os.O_RDONLY | os.O_NOFOLLOW
    return os.fdopen(open_descriptor(path, flags, dir_fd=dir_fd), "rb")


def read_regular(path: str, most_bytes: int, *, dir_fd: int | None = None, follow: bool = True) -> bytes:
    """The content of the regular file PATH.

    Raises OSError as `open_descriptor` does, and when it is longer than MOST_BYTES.
    """
    with open_regular(path, dir_fd=dir_fd, follow=follow) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes} bytes", path)
    return content


def _require_file(status: os.stat_result, path: str, device: bool) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG or (device and kind == stat.S_IFCHR):
        return
    if kind == stat.S_IFLNK:
        raise OSError(errno.ELOOP, "it is a link", path)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def may_be_shown(name: str) -> bool:
    """Whether a log that everybody reads may hold NAME: it is one word with a UID in it, such as `MPPS.1.2.3` (R21).

    Any other name that somebody gave a file may be a patient's.
    """
    return len(name) <= _MOST_NAME and re.fullmatch(_WORD_WITH_UID, name) is not None


def shown_folder(top: str, below: Sequence[str]) -> str:
    """How a log names the folder that lies in TOP under the names BELOW: by its path if those may be shown.

    `the folder /data/scanner`, or `a folder below /data/scanner`.
    """
    return f"the folder {os.path.join(top, *below)}" if all(map(may_be_shown, below)) else f"a folder below {top}"


def free_bytes_at(folder: str) -> int:
    """How many bytes our user may still write where FOLDER is. Raises OSError."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def shown(folder: str, paths: Iterable[str]) -> list[tuple[str, int]]:
    """How a log names the files PATHS, which lie in or below FOLDER, and how many files each of the texts is about.

    First come those that may be named, one by one, then the others by folder: `2 files in /data/scanner`. A folder
    below FOLDER is named as a file is.
    """
    named: list[tuple[str, int]] = []
    counts: dict[str, int] = {}
    for path in sorted(paths):
        *below, name = os.path.relpath(path, folder).split(os.sep)
        if all(map(may_be_shown, (*below, name))):
            named.append((path, 1))
        else:
            where = shown_folder(folder, below).removeprefix("the folder ")
            counts[where] = counts.get(where, 0) + 1
    return named + [(f"{counted(n, 'file', 'files')} in {where}", n) for where, n in counts.items()]
