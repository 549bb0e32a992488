"""One request's file: written, moved to another folder and back, also between two file systems.

Folders are descriptors, so that no link on the way is followed. At any moment, also when we are killed, the file is
whole in one of the two folders; what may be left is a hidden part, which the next move of that request removes.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat

from scanner_mover.files import open_regular

# What a file system answers that has no hard links, or allows none to this file.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_PIECE = 1 << 20


def move(source: int, name: str, target: int, new_name: str, status: os.stat_result) -> None:
    """Move the file NAME from the folder SOURCE to NEW_NAME in TARGET, over what is there; STATUS is that of NAME.

    Raises OSError.
    """
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, name, target, new_name, status, closes=True)
    # rename(2) does nothing to two names of one file, and says that it succeeded.
    _remove(source, name, status)


def put_back(source: int, target: int, name: str) -> bool:
    """Move the file NAME from the folder SOURCE to TARGET and give it a fresh time; never over another file there.

    False when another file of that name is there. Raises OSError.
    """
    status = os.stat(name, dir_fd=source, follow_symlinks=False)
    _require_request(status, name)
    there = _status(target, name)
    if there is not None and not os.path.samestat(there, status):
        _require_request(there, name)
        return False
    if there is None and not _put_back_by_link(source, target, name, status):
        _copy(source, name, target, name, status, closes=False)
    _sync(target)
    _remove(source, name, status)
    return True


def _put_back_by_link(source: int, target: int, name: str, status: os.stat_result) -> bool:
    """False when there can be no link from one folder to the other."""
    if status.st_dev != os.fstat(target).st_dev:
        return False
    # The time first: an old request that is back for an instant must not fail for its age.
    os.utime(name, dir_fd=source, follow_symlinks=False)
    try:
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV or error.errno in _NO_LINKS:
            return False
        raise
    return True


def write(folder: int, name: str, content: bytes) -> bool:
    """Write the file NAME with CONTENT into FOLDER, in one step; False when there is one already. Raises OSError."""
    there = _status(folder, name)
    if there is not None:
        _require_request(there, name)
        return False
    part, descriptor = _new_part(folder, name, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            _publish(folder, part, name)
    except FileExistsError:
        return False
    finally:
        _discard(folder, part)
    _sync(folder)
    return True


def _copy(source: int, name: str, target: int, new_name: str, status: os.stat_result, *, closes: bool) -> None:
    """Copy the file to another file system: it is whole there, and on its disk, before it gets its name.

    When it CLOSES, it keeps its times and replaces what is there; otherwise it has a fresh time and replaces nothing.
    """
    with open_regular(name, dir_fd=source, follow=False) as file:
        if not os.path.samestat(os.fstat(file.fileno()), status):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        part, descriptor = _new_part(target, new_name)
        try:
            with os.fdopen(descriptor, "wb") as copy:
                while piece := file.read(_PIECE):
                    copy.write(piece)
                copy.flush()
                with contextlib.suppress(PermissionError):  # only root may give a file away
                    os.fchown(copy.fileno(), status.st_uid, status.st_gid)
                os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
                if closes:
                    os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
                os.fsync(copy.fileno())
                if closes:
                    os.rename(part, new_name, src_dir_fd=target, dst_dir_fd=target)
                else:
                    _publish(target, part, new_name)
        finally:
            _discard(target, part)
    _sync(target)


def _new_part(folder: int, name: str, mode: int = 0o600) -> tuple[str, int]:
    """A new hidden file for the request NAME in FOLDER, with MODE, and its descriptor, locked while we live.

    Parts of NAME that nobody has locked were left by somebody who was killed, and are removed.
    """
    _remove_parts(folder, name)
    while True:
        part = f".{name}.{os.urandom(8).hex()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(part, flags, mode, dir_fd=folder)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:  # nobody removed it before it was locked
            return part, descriptor
        os.close(descriptor)


def _remove_parts(folder: int, name: str) -> None:
    pattern = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.part")
    for part in filter(pattern.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError), open_regular(part, dir_fd=folder, follow=False) as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(part, dir_fd=folder)


def _publish(folder: int, part: str, name: str) -> None:
    """Give PART its NAME. Raises FileExistsError when there is a file of that name."""
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if _status(folder, name) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)


def _discard(folder: int, part: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(part, dir_fd=folder)


def _remove(folder: int, name: str, status: os.stat_result) -> None:
    """Remove the file NAME if it is there and still the one with STATUS. Raises OSError."""
    there = _status(folder, name)
    if there is not None and os.path.samestat(there, status):
        os.unlink(name, dir_fd=folder)


def _require_request(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, "what is there is not a regular file", name)


def _sync(folder: int) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot bring a folder to the disk
        os.fsync(folder)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
