"""The disk: make a folder, measure free space, and bring to the disk what must survive a power failure.

A plain module: every pass makes its folders and writes its state.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence

from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import free_bytes_at
from scanner_mover.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


#: The name of a file that is written to see that one can be.
TRIED = ".tried"
_TRIED_BYTES = 64 << 10


def make_folder(path: str) -> None:
    """Make the folder PATH and those above it where they are missing (R26), and check that files can be put into it.

    Raises UnusableError with what to do.
    """
    try:
        os.makedirs(path, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
        read_only = not writable and os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError as error:
        raise UnusableError(f"the folder {path} cannot be made: {reason(error)}") from error
    if not writable:
        what = "its file system is read-only" if read_only else "give it to the user that runs this program"
        raise UnusableError(f"the folder {path} cannot be written: {what}")


@contextlib.contextmanager
def opened_folder(top: str, below: Sequence[str] = ()) -> Iterator[int]:
    """The descriptor of a folder: TOP, and from there down the folders named in BELOW, one in the other.

    TOP may be reached by links, which a site itself puts there. A link below it is refused: whoever may write there
    could lead us to other files with it. Raises OSError.
    """
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in below:
            outer = descriptor
            descriptor = _open_inner(name, outer)
            os.close(outer)
        yield descriptor
    finally:
        os.close(descriptor)


def _open_inner(name: str, outer: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=outer)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=outer, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "it is a link, which is not followed", name) from None
        raise


def free_bytes(path: str) -> int:
    """How many bytes our user may still write to the file system of PATH, or of the nearest folder above that is there.

    Raises UnusableError when that cannot be measured.
    """
    folder = os.path.abspath(path)
    while True:
        try:
            return free_bytes_at(folder)
        except FileNotFoundError:
            folder = os.path.dirname(folder)
        except OSError as error:
            raise UnusableError(f"the free space of {folder} cannot be measured: {reason(error)}") from error


def need_free(path: str, reserve_bytes: int) -> None:
    """Raise UnusableError when less than RESERVE_BYTES are free where PATH is."""
    if free_bytes(path) < reserve_bytes:
        raise UnusableError(
            f"less than {reserve_bytes} bytes (reserve_bytes) are free for {path}: nothing is retrieved until there is "
            "room"
        )


def need_writable(folder: str) -> None:
    """Raise UnusableError when no file can be written in FOLDER: the disk is full, or a quota is used up.

    Free space says nothing of a quota, and storescp answers nothing when it cannot write: only a try shows it.
    """
    path = os.path.join(folder, TRIED)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.unlink(path)
            left = _TRIED_BYTES
            while left > 0:
                left -= os.write(descriptor, bytes(left))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnusableError(
            f"images cannot be written into {os.path.dirname(folder)}: {reason(error)}: nothing is retrieved until "
            "they can"
        ) from error


def sync_file_system(folder: str) -> None:
    """Wait until everything that was written to the file system of FOLDER is on its disk (syncfs(2)).

    One call serves many images, and is as safe as one for each. Raises UnusableError when it fails.
    """
    import ctypes  # costs time, and few passes need it

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), folder)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnusableError(f"the content of {folder} cannot be brought to the disk: {reason(error)}") from error


def sync_folder(folder: str) -> None:
    """Wait until the names in FOLDER are on the disk. Some file systems cannot do that: then nothing happens."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(value: Any, path: str, part: str) -> None:
    """Write VALUE to PATH in one step: PART, a new file in the same file system, is renamed to it.

    A reader sees the old content or the new. Everybody may read it. Raises OSError when it cannot be written; then PART
    is gone.
    """
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
            os.fchmod(file.fileno(), 0o644)
        os.rename(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
