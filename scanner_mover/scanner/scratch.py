"""A private folder for query files and answers, which have patients' names in them: nothing of it stays behind.

The process that made it holds an flock(2) on it. What was left by one that was killed is held by nobody, and the next
one removes it.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

from scanner_mover.errors import UnusableError, reason

PREFIX = "scanner-mover-scratch."
# So often another process may take the new folder for one that was left behind.
_MOST_TRIES = 10


@contextlib.contextmanager
def scratch_folder(parent: str | None = None) -> Iterator[str]:
    """Make a new folder in PARENT, by default the system's temporary folder, and remove it at the end of the `with`.

    Only our user may enter it. Before that, folders of this kind and this user in PARENT that no process holds any more
    are removed. Raises UnusableError when the folder cannot be made.
    """
    try:
        parent = parent or tempfile.gettempdir()
        remove_left(parent)
        path, lock = _new(parent)
    except OSError as error:
        where = parent or "the system's temporary folder"
        raise UnusableError(f"no folder can be made in {where}: {reason(error)}") from error
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):  # `ignore_errors` lets some through
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_left(parent: str) -> None:
    """Remove the folders in PARENT that `scratch_folder` made for our user and that no process holds any more."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(PREFIX)]
        for path in left:
            with contextlib.suppress(OSError):
                lock = _lock(path)
                try:
                    shutil.rmtree(path)
                finally:
                    os.close(lock)


def _new(parent: str) -> tuple[str, int]:
    """A new folder and the descriptor that holds its lock."""
    for _ in range(_MOST_TRIES):
        path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            lock = _lock(path)
            # Until it was locked, another process could take it for one that was left behind.
            if os.path.isdir(path):
                return path, lock
            os.close(lock)
    raise OSError(f"each of {_MOST_TRIES} new folders was removed at once")


def _lock(path: str) -> int:
    """Lock the folder PATH, which must be our user's and no link; gives the descriptor that holds the lock.

    Raises OSError when it is none, or BlockingIOError when another process holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise PermissionError(f"{path} is not ours")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
