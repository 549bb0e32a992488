"""Files that were received go to `site/raw`/STUDY/SERIES/SOPINSTANCEUID, or aside to `site/rejected`.

An image that is here is never replaced; a file of 0 bytes is, since it is no image (R13). Below `site/raw` folders are
entered by descriptor without following links, so that nobody who may write there leads us to other files; `site/raw`
itself may be a link, which a site puts there to use another disk.
"""

import contextlib
import enum
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import open_regular
from scanner_mover.site.disk import opened_folder
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.naming import have_same_content, move_to_free_name
from scanner_mover.site.verdict import Reason

_CHOWN = "give it to the user that runs this program, or make room"
_CHUNK = 1 << 20
_READ_BY_ALL = 0o666


@dataclass(frozen=True)
class SetAside:
    """A file that now lies at `path` in `site/rejected`, why, and its UIDs (None: none that can be read)."""

    path: str
    reason: Reason
    text: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str | None


@dataclass(frozen=True)
class Kept:
    """A file that could not be moved and stays in staging for the next pass, and why."""

    name: str
    text: str
    study_instance_uid: str | None
    series_instance_uid: str | None


@dataclass(frozen=True)
class Lossy:
    """That `images` of a series arrived in a lossy transfer syntax, and its name."""

    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    name: str
    images: int


@dataclass(frozen=True)
class Filed:
    """What became of the files that were received.

    `filed` is how many new images of each (StudyInstanceUID, SeriesInstanceUID) are in `site/raw` now. `removed` are
    the files that our own end of the receiver cut short (R27).
    """

    filed: dict[tuple[str, str], int] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    lossy: tuple[Lossy, ...] = ()
    kept: tuple[Kept, ...] = ()
    removed: tuple[str, ...] = ()

    def __add__(self, other: "Filed") -> "Filed":
        """Both together. What was kept counts as the later one says."""
        filed = dict(self.filed)
        for series, images in other.filed.items():
            filed[series] = filed.get(series, 0) + images
        later = {one.name for one in other.kept}
        return Filed(
            filed,
            self.set_aside + other.set_aside,
            self.lossy + other.lossy,
            tuple(one for one in self.kept if one.name not in later) + other.kept,
            self.removed + other.removed,
        )


class Placed(enum.Enum):
    """What became of one file that was to be filed."""

    NEW = "it is in site/raw now"
    SAME = "the same file is there already"
    DIFFERS = "another image with its UID is there already"


@dataclass(frozen=True)
class Uids:
    """The UIDs of one image that is to be filed."""

    study: str
    series: str
    sop: str


def need_place(settings: Settings, folders: DataFolders, study_instance_uid: str, series_instance_uid: str) -> None:
    """See, before a series is asked for, that it can be filed: else it would be sent again and again.

    Raises UnusableError when its folder cannot be made or written, or `group` cannot be given to files.
    """
    group = settings.group
    if group is not None and os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise UnusableError(f"group {group} cannot be given to files: our user is not a member of it; add it there")
    folder = folders.series(study_instance_uid, series_instance_uid)
    try:
        with _series_folder(settings, folders, study_instance_uid, series_instance_uid) as descriptor:
            writable = os.access(f"/proc/self/fd/{descriptor}", os.W_OK | os.X_OK)
    except OSError as error:
        todo = f"make {error.filename} a folder" if error.errno == errno.ELOOP else _CHOWN
        raise UnusableError(f"{folder} cannot be made: {reason(error)}; {todo}") from error
    if not writable:
        raise UnusableError(f"{folder} cannot be written; {_CHOWN}")


@contextlib.contextmanager
def _series_folder(settings: Settings, folders: DataFolders, study: str, series: str) -> Iterator[int]:
    """The descriptor of a series' folder, made when missing. Raises OSError."""
    os.makedirs(folders.raw, exist_ok=True)
    with opened_folder(folders.raw) as raw:
        _make(settings, raw, study)
    with opened_folder(folders.raw, [study]) as folder:
        _make(settings, folder, series)
    with opened_folder(folders.raw, [study, series]) as folder:
        yield folder


def _make(settings: Settings, outer: int, name: str) -> None:
    try:
        os.mkdir(name, dir_fd=outer)
    except FileExistsError:
        return
    with _inner(outer, name) as folder:
        if settings.directory_mode is not None:
            os.fchmod(folder, settings.directory_mode)
        if settings.group is not None:
            os.fchown(folder, -1, settings.group)


@contextlib.contextmanager
def _inner(outer: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=outer)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Filer:
    """Moves files out of one staging folder. Use it in a `with`; nothing is opened before it is needed."""

    def __init__(self, settings: Settings, folders: DataFolders, staging: int) -> None:
        """STAGING is the descriptor of the folder."""
        self._settings = settings
        self._folders = folders
        self._staging = staging
        self._series: tuple[str, str] | None = None
        self._series_folder = -1
        self._open = contextlib.ExitStack()
        self._rejected: tuple[int, int] | None = None
        self._rejected_open = contextlib.ExitStack()

    def __enter__(self) -> "Filer":
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()
        self._rejected_open.close()

    def file(self, name: str, uids: Uids) -> Placed:
        """Give the file NAME, whose content is on the disk already, its place in `site/raw`.

        Where the same is there already, NAME goes; where another image with its UID is there, NAME stays in staging.
        Raises OSError when it cannot be moved.
        """
        folder = self._enter(uids.study, uids.series)
        self._give(name)
        if move_to_free_name(self._staging, name, folder, uids.sop):
            return Placed.NEW
        try:
            there = os.stat(uids.sop, dir_fd=folder)
        except FileNotFoundError:  # a link that leads nowhere
            there = None
        if there is None or (stat.S_ISREG(there.st_mode) and there.st_size == 0):
            os.rename(name, uids.sop, src_dir_fd=self._staging, dst_dir_fd=folder)
            return Placed.NEW
        if not have_same_content(self._staging, name, folder, uids.sop):
            return Placed.DIFFERS
        os.unlink(name, dir_fd=self._staging)
        return Placed.SAME

    def set_aside(self, name: str, sop_instance_uid: str | None) -> str:
        """Keep the file NAME in `site/rejected`; gives its path there.

        It is named by its SOPInstanceUID (without one, by its content) and, where another file has that name, a number.
        Raises OSError when it cannot be moved.
        """
        folder, mode = self._enter_rejected()
        self._give(name, mode & _READ_BY_ALL)
        # storescp's own name begins with the modality, which it takes from its dictionary.
        prefix = name.partition(".")[0]
        known = sop_instance_uid is not None and is_uid(sop_instance_uid)
        target = kept = f"{prefix}.{sop_instance_uid if known else self._digest(name)}"
        number = 0
        while not move_to_free_name(self._staging, name, folder, kept):
            if have_same_content(self._staging, name, folder, kept):
                os.unlink(name, dir_fd=self._staging)
                break
            number += 1
            kept = f"{target}.{number}"
        return os.path.join(self._folders.rejected, kept)

    def _enter(self, study: str, series: str) -> int:
        """The descriptor of the series' folder; it stays open until another one is needed."""
        if self._series != (study, series):
            self._open.close()
            self._series = None
            self._series_folder = self._open.enter_context(_series_folder(self._settings, self._folders, study, series))
            self._series = (study, series)
        return self._series_folder

    def _enter_rejected(self) -> tuple[int, int]:
        """The descriptor of `site/rejected`, made when missing, and its permissions: never more than `site/raw` has."""
        if self._rejected is None:
            site, name = os.path.split(self._folders.rejected)
            raw = os.stat(self._folders.raw)
            allowed = stat.S_IMODE(raw.st_mode)
            if self._settings.directory_mode is not None:
                allowed &= self._settings.directory_mode
            with opened_folder(site) as outer:
                made = _make_private(outer, name)
            folder = self._rejected_open.enter_context(opened_folder(site, [name]))
            mode = _narrow(folder, made, allowed, raw.st_gid if self._settings.group is None else self._settings.group)
            self._rejected = folder, mode
        return self._rejected

    def _give(self, name: str, most: int = _READ_BY_ALL) -> None:
        """Give the file NAME the rights and the group that are set, but no more than MOST."""
        if self._settings.file_mode is not None:
            os.chmod(name, self._settings.file_mode, dir_fd=self._staging)
        mode = stat.S_IMODE(os.stat(name, dir_fd=self._staging, follow_symlinks=False).st_mode)
        if most != _READ_BY_ALL and mode & ~most:
            os.chmod(name, mode & most, dir_fd=self._staging)
        if self._settings.group is not None:
            os.chown(name, -1, self._settings.group, dir_fd=self._staging, follow_symlinks=False)

    def _digest(self, name: str) -> str:
        with open_regular(name, dir_fd=self._staging, follow=False) as file:
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()[:32]


def _make_private(outer: int, name: str) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=outer)
    except FileExistsError:
        return False
    return True


def _narrow(folder: int, made: bool, allowed: int, group: int) -> int:
    """Give FOLDER the permissions ALLOWED if it was MADE now, else take away what it has beyond; gives what it has."""
    if made:
        try:
            os.fchown(folder, -1, group)
        except OSError:  # our user is not a member of it: what was meant for that group is for nobody
            allowed &= ~stat.S_IRWXG
        os.fchmod(folder, allowed)
        return allowed
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & ~allowed:
        with contextlib.suppress(OSError):  # it belongs to another user, who decides
            os.fchmod(folder, mode & allowed)
    return mode & allowed
