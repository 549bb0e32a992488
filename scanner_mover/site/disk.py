"""What is said to be finished is on the disk, not only in memory: nothing is lost when the power fails."""

import contextlib
import ctypes
import os

from scanner_mover.errors import UnusableError, reason

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(folder: str) -> None:
    """Wait until everything that was written to the file system of FOLDER is on its disk (syncfs(2)).

    One call for many images: a call for each would be no safer. Raises UnusableError when it fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc.syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), folder)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnusableError(f"what is in {folder} cannot be brought to the disk: {reason(error)}") from error


def sync_folder(folder: str) -> None:
    """Wait until the names in FOLDER are on the disk; a file system that knows no such thing has done what it can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
