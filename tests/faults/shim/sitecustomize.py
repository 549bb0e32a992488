"""Python runs this first when PYTHONPATH leads here: it counts the system calls of the mover, and has one of them fail.

A call is named by the line of `scanner_mover` that it comes from, directly or through the standard library or `sh`, and
by how often that line made it before: threads may mix up the order of all calls, but not this. With SYSTEM_CALLS_TRACE
the name of each is written there. With SYSTEM_CALLS_FAULT (a name) and SYSTEM_CALLS_ERRNO that call raises OSError
instead of being made. What the import system does is left alone, and so is everything in a child after fork(2).
"""

import builtins
import ctypes
import errno
import io
import os
import sys
from collections import Counter

_TRACE = os.environ.get("SYSTEM_CALLS_TRACE")
_FAULT = os.environ.get("SYSTEM_CALLS_FAULT")
_ERRNO = getattr(errno, os.environ.get("SYSTEM_CALLS_ERRNO", "EIO"))

_LOOKS = ["access", "fstat", "getxattr", "listdir", "lstat", "open", "pipe", "readlink", "stat", "statvfs"]
_SYNCS = ["fdatasync", "fsync"]
_CHANGES = ["chmod", "chown", "fchmod", "fchown", "ftruncate", "link", "mkdir", "remove", "rename", "replace", "rmdir"]
_MORE_CHANGES = ["setxattr", "symlink", "truncate", "unlink", "utime", "write"]

_process = os.getpid()
_counts: Counter[str] = Counter()
_write, _descriptor = os.write, None if _TRACE is None else os.open(_TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _where() -> str | None:
    """The line of `scanner_mover` that the call comes from; None when it does not, or is made to import something."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return None
        folder, _, module = name.rpartition("/scanner_mover/")
        if folder:
            return f"{module}:{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _meet(call: str) -> None:
    """One more system call is about to be made."""
    where = _where()
    if where is None or os.getpid() != _process:
        return
    line = f"{call} {where}"
    _counts[line] += 1
    name = f"{line} {_counts[line]}"
    if _descriptor is not None:
        _write(_descriptor, f"{name}\n".encode())
    if name == _FAULT:
        raise OSError(_ERRNO, os.strerror(_ERRNO))


def _wrapped(name: str, real):
    def call(*arguments, **more):
        try:
            _meet(name)
        except OSError:
            if name != "access":
                raise
            return False  # it never raises one
        return real(*arguments, **more)

    # Some modules ask whether a function can do more: `shutil` and ours.
    for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        if real in known:
            known.add(call)
    return call


class _Entry:
    """An os.DirEntry that counts what it has the kernel do."""

    def __init__(self, entry: os.DirEntry) -> None:
        self._entry = entry
        self.name, self.path = entry.name, entry.path

    def __fspath__(self) -> str:
        return self.path

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        _meet("entry.stat")
        return self._entry.stat(follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_file(follow_symlinks=follow_symlinks)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def is_symlink(self) -> bool:
        return self._entry.is_symlink()

    def inode(self) -> int:
        return self._entry.inode()


class _Scan:
    """An os.scandir that fails at its beginning or at an entry."""

    def __init__(self, path=".") -> None:
        _meet("scandir")
        self._real = _scandir(path)

    def __iter__(self):
        return self

    def __next__(self) -> _Entry:
        entry = next(self._real)
        _meet("readdir")
        return _Entry(entry)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self._real.close()

    def close(self) -> None:
        self._real.close()


def _open(file, mode="r", *arguments, **more):
    if not isinstance(file, int):
        _meet("open")
    opened = _real_open(file, mode, *arguments, **more)
    if set(mode) & set("wax+"):
        real = opened.write

        def write(content):
            _meet("file.write")
            return real(content)

        opened.write = write
    return opened


class _Library(ctypes.CDLL):
    """The C library with a syncfs(2) that can fail."""

    def __getattr__(self, name: str):
        function = super().__getattr__(name)
        if name != "syncfs":
            return function

        def syncfs(descriptor: int) -> int:
            try:
                _meet("syncfs")
            except OSError as error:
                ctypes.set_errno(error.errno)
                return -1
            return function(descriptor)

        return syncfs


_scandir, _real_open = os.scandir, builtins.open
for _name in (*_LOOKS, *_SYNCS, *_CHANGES, *_MORE_CHANGES):
    setattr(os, _name, _wrapped(_name, getattr(os, _name)))
if _scandir in os.supports_fd:
    os.supports_fd.add(_Scan)
os.scandir = _Scan
builtins.open = io.open = _open
ctypes.CDLL = _Library
