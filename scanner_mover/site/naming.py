"""A file gets a name that nobody has yet: what is there is never overwritten."""

import contextlib
import errno
import os
import shutil
import stat

from scanner_mover.files import open_regular

# What a file system answers that has no hard links.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
_CHUNK = 1 << 20


def move_to_free_name(source_folder: int, source: str, target_folder: int, target: str) -> bool:
    """Move the file SOURCE to the name TARGET if that is free; False: it is not. Folders are descriptors.

    They may lie on two file systems. Raises OSError.
    """
    try:
        os.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno == errno.EXDEV:
            return _copy_to_free_name(source_folder, source, target_folder, target)
        if error.errno not in _NO_LINKS:
            raise
        with contextlib.suppress(FileNotFoundError):
            os.stat(target, dir_fd=target_folder, follow_symlinks=False)
            return False
        os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        return True
    os.unlink(source, dir_fd=source_folder)
    return True


def _copy_to_free_name(source_folder: int, source: str, target_folder: int, target: str) -> bool:
    """As `move_to_free_name`, to another file system: the file is whole there, and on its disk, before it is named."""
    part = f".{target}.part"  # the same name each time: a pass that is killed here leaves one file, not many
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=target_folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open_regular(source, dir_fd=source_folder, follow=False) as file:
            status = os.fstat(file.fileno())
            with os.fdopen(os.open(part, flags, 0o600, dir_fd=target_folder), "wb") as copy:
                shutil.copyfileobj(file, copy, _CHUNK)
                copy.flush()
                with contextlib.suppress(PermissionError):  # only a member of the group may give it
                    os.fchown(copy.fileno(), -1, status.st_gid)
                os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
                os.fsync(copy.fileno())
        moved = move_to_free_name(target_folder, part, target_folder, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=target_folder)
    if moved:
        os.unlink(source, dir_fd=source_folder)
    return moved


def have_same_content(one_folder: int, one: str, other_folder: int, other: str) -> bool:
    """Whether two files, of which the first is no link, have the same content.

    Raises OSError, also when one is no regular file.
    """
    with (
        open_regular(one, dir_fd=one_folder, follow=False) as first,
        open_regular(other, dir_fd=other_folder) as second,
    ):
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        while chunk := first.read(_CHUNK):
            if chunk != second.read(_CHUNK):
                return False
    return True
