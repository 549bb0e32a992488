"""The locks of a pass: real flock(2) locks, so that script and program exclude each other (R9).

A plain module: every pass takes them.
"""

import contextlib
import errno
import fcntl
import os
import time

from scanner_mover import signals
from scanner_mover.errors import LockHeldError, UnusableError, reason
from scanner_mover.files import open_descriptor

# What a network file system answers when it cannot lock a folder.
_NO_LOCKS_HERE = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}

_SECONDS_BETWEEN_TRIES = 0.05
_SECONDS_BETWEEN_BEATS = 10.0


class Lock:
    """Holds locks until they are released or the process dies, however it dies.

    The descriptors are closed on exec, so no child keeps a lock after its parent died.
    """

    def __init__(self) -> None:
        self._held: list[int] = []
        self._file: int | None = None
        self._next_beat = 0.0

    def file(self, path: str, *, writable: bool = True) -> None:
        """Lock the file PATH, made when missing. It never waits. Network file systems lock only what is WRITABLE.

        Raises LockHeldError when another process holds it, UnusableError when it cannot be opened or locked.
        """
        while True:
            try:
                try:
                    descriptor = open_descriptor(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CREAT)
                except PermissionError:
                    descriptor = open_descriptor(path, os.O_RDONLY)
            except OSError as error:
                raise UnusableError(f"the lock {path} cannot be opened: {reason(error)}") from error
            self._take(descriptor, path)
            try:
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    self._file = descriptor
                    return
            except OSError:
                pass
            # Somebody removed the file after we opened it: others cannot see the lock that we hold.
            self._held.remove(descriptor)
            os.close(descriptor)

    def wait_for_file(self, path: str, most_seconds: float) -> None:
        """As `file`, but wait up to MOST_SECONDS for a process that holds the lock.

        Raises LockHeldError when it holds it for longer, Ended when a signal asks us to end.
        """
        end = time.monotonic() + most_seconds
        while True:
            try:
                return self.file(path)
            except LockHeldError:
                if time.monotonic() >= end:
                    raise
            signals.sleep(_SECONDS_BETWEEN_TRIES)

    def beat(self) -> None:
        """Give the lock file that we hold the time of this moment, now and then: our pass goes on."""
        if self._file is not None and time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + _SECONDS_BETWEEN_BEATS
            with contextlib.suppress(OSError):
                now = time.time()
                os.utime(self._file, (now, now))

    def folder(self, path: str) -> bool:
        """Lock the folder PATH. It never waits. False when PATH is missing or its file system locks no folders.

        Raises LockHeldError when another process holds it, UnusableError when it cannot be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UnusableError(
                f"the folder {path} cannot be read: {reason(error)}; give it to the user that runs this program"
            ) from error
        return self._take(descriptor, path, optional=True)

    def _take(self, descriptor: int, path: str, optional: bool = False) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LockHeldError(path) from error
        except OSError as error:
            os.close(descriptor)
            if optional and error.errno in _NO_LOCKS_HERE:
                return False
            raise UnusableError(f"{path} cannot be locked: {reason(error)}") from error
        self._held.append(descriptor)
        return True

    def release(self) -> None:
        """Release all of them."""
        self._file = None
        while self._held:
            os.close(self._held.pop())
