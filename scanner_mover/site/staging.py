"""The private folder into which images are received, and the way out of it: to `site/raw`, or to `site/rejected`.

It lies in the file system of `site/raw`, so that an image gets its name there in one step, and only we may enter it. A
hidden file in it says what a later pass must know if we are killed: during which boot it was made, and which
studies were requested. We hold a lock on that file for as long as we live, so that a pass of another project,
which nothing else may keep apart from us, sees that the folder was not left over.
"""

import collections
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import (
    LOSSY_TRANSFER_SYNTAXES,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    TRANSFER_SYNTAX_UID,
)
from scanner_mover.errors import LockHeldError, UnusableError, reason
from scanner_mover.files import open_regular, read_regular
from scanner_mover.site import header
from scanner_mover.site.disk import TRIED, opened_folder, sync_file_system
from scanner_mover.site.filing import Filed, Filer, Kept, Lossy, Placed, SetAside, Uids
from scanner_mover.site.folders import STAGING_PREFIX, DataFolders
from scanner_mover.site.lock import Lock
from scanner_mover.site.verdict import TAGS, Origin, Reason, Verdict, is_cut, verdict

_NOTE = ".asked.json"
_MOST_NOTE_BYTES = 16 << 20
_NOTHING_REPORTED: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True)
class Note:
    """What the hidden file says: the boot id, the requested studies, and which files storescp closed by itself."""

    boot: str | None = None
    requested: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()


def make_staging(folders: DataFolders, requested: Collection[str], lock: Lock) -> str:
    """Make a new, empty staging folder for the REQUESTED studies; gives its path. It is ours until LOCK is released.

    Raises UnusableError when it cannot be made.
    """
    raw = folders.raw
    try:
        os.makedirs(raw, exist_ok=True)
        parent = folders.site if os.stat(folders.site).st_dev == os.stat(raw).st_dev else raw
        while True:
            staging = tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent)
            held = hold(staging, lock)
            # Another pass may see the folder before we lock it, and remove it as a leftover: then make a new one.
            with contextlib.suppress(FileNotFoundError):
                if held:
                    write_note(staging, Note(clock.now().boot, frozenset(requested)))
                    return staging
    except OSError as error:
        raise UnusableError(f"no folder to receive into can be made in {raw}: {reason(error)}") from error


def hold(staging: str, lock: Lock) -> bool:
    """Make the folder STAGING ours until LOCK is released; False when a pass that lives has it.

    Where its file system locks nothing, it is ours.
    """
    # A file that is open for writing would keep a disk with errors from becoming read-only.
    for writable in (False, True):
        try:
            lock.file(os.path.join(staging, _NOTE), writable=writable)
            return True
        except LockHeldError:
            return False
        except UnusableError:  # a pass that lives would have a lock that can be tried
            continue
    return True


def is_staging(folders: DataFolders) -> Callable[[str], bool]:
    """A function that says whether a path is that of a staging folder of FOLDERS, which need not be there any more."""
    parents = {os.path.realpath(folders.site), os.path.realpath(folders.raw)}

    def check(path: str) -> bool:
        parent, name = os.path.split(path)
        return name.startswith(STAGING_PREFIX) and os.path.realpath(parent) in parents

    return check


def write_note(staging: str, note: Note) -> None:
    """Write the hidden file of STAGING. Raises OSError."""
    value = {"boot": note.boot, "asked": sorted(note.requested), "closed": sorted(note.closed)}
    with open(os.path.join(staging, _NOTE), "w", encoding="ascii") as file:
        json.dump(value, file)


def read_note(staging: str) -> Note:
    """What the hidden file of STAGING says; a note that says nothing when it cannot be read."""
    try:
        value = json.loads(read_regular(os.path.join(staging, _NOTE), _MOST_NOTE_BYTES, follow=False))
        boot, requested, closed = value["boot"], value["asked"], value.get("closed", [])
        return Note(boot, frozenset(_texts(requested)), frozenset(_texts(closed)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Note()


def _texts(values: Iterable[object]) -> Iterable[str]:
    return (value for value in values if isinstance(value, str))


def files_in(staging: str) -> list[str]:
    """The names of the files in STAGING, the one that was written to first comes first; none if it is gone.

    Raises UnusableError when it cannot be read.
    """
    found = []
    try:
        with os.scandir(staging) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnusableError(f"the folder {staging} cannot be read: {reason(error)}") from error
    return [name for _, name in sorted(found)]


def remove_staging(staging: str) -> None:
    """Remove the folder STAGING unless a file is left in it."""
    with contextlib.suppress(UnusableError):
        if files_in(staging):
            return
    for name in (_NOTE, TRIED):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(staging, name))
    with contextlib.suppress(OSError):
        os.rmdir(staging)


def leave_staging(
    staging: str, boot: str | None, requested: Collection[str], was_closed: Callable[[str], bool]
) -> None:
    """Remove STAGING; where files stay in it, note what is known of them."""
    with contextlib.suppress(UnusableError, OSError):
        left = files_in(staging)
        if left:
            write_note(staging, Note(boot, frozenset(requested), frozenset(filter(was_closed, left))))
    remove_staging(staging)


class Sorter:
    """Judges files of staging folders, and files them or sets them aside."""

    def __init__(self, tools: Toolbox, settings: Settings, folders: DataFolders, requested: Collection[str]) -> None:
        self._tools = tools
        self._settings = settings
        self._folders = folders
        self._requested = frozenset(requested)

    def sort(
        self,
        staging: str,
        names: Sequence[str],
        origin: Callable[[str], Origin],
        *,
        requested: Collection[str] = (),
        reported: Mapping[str, Collection[str]] = _NOTHING_REPORTED,
    ) -> Filed:
        """File, or set aside, the files NAMES of STAGING; ORIGIN says how one was written.

        Images of studies that are REQUESTED besides those that this object knows are filed, too; REPORTED is as for
        `verdict`. A file that goes away meanwhile, because its association broke off, is nothing. One that cannot be
        moved stays, and is in `kept`.

        Raises UnusableError when nothing can be judged or brought to the disk.
        """
        if not names:
            return Filed()
        dumps = dcmdump.dump(self._tools, staging, names, TAGS, load_all=False, small_dictionary=True)
        # Before its name, its content: after a power cut a name in site/raw must not lead to half an image.
        sync_file_system(staging)
        wanted = self._requested | frozenset(requested)
        # One series after the other, each in the order in which its files arrived.
        dumps.sort(key=lambda dump: (dump.one(STUDY_INSTANCE_UID) or "", dump.one(SERIES_INSTANCE_UID) or ""))
        try:
            with opened_folder(staging) as descriptor, Filer(self._settings, self._folders, descriptor) as filer:
                tally = _Tally(filer, staging, wanted, reported)
                for dump in dumps:
                    tally.add(dump, origin(dump.file))
        except OSError as error:
            raise UnusableError(f"the folder {staging} cannot be read: {reason(error)}") from error
        return tally.filed()


class _Tally:
    """Sorts one file after the other and adds up what becomes of them."""

    def __init__(
        self, filer: Filer, staging: str, requested: Collection[str], reported: Mapping[str, Collection[str]]
    ) -> None:
        self._filer = filer
        self._staging = staging
        self._requested = requested
        self._reported = reported
        self._filed: collections.Counter[tuple[str, str]] = collections.Counter()
        self._lossy: collections.Counter[tuple[str, str, str]] = collections.Counter()
        self._set_aside: list[SetAside] = []
        self._kept: list[Kept] = []
        self._removed: list[str] = []

    def filed(self) -> Filed:
        lossy = tuple(
            Lossy(study, series, syntax, LOSSY_TRANSFER_SYNTAXES[syntax], images)
            for (study, series, syntax), images in self._lossy.items()
        )
        return Filed(dict(self._filed), tuple(self._set_aside), lossy, tuple(self._kept), tuple(self._removed))

    def add(self, dump: Dump, origin: Origin) -> None:
        study, series, sop = (dump.one(tag) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID))
        if dump.error is not None:
            study, series, sop = _uids_of_damaged(os.path.join(self._staging, dump.file))
        folder = self._staging
        try:
            found = verdict(dump, origin, self._requested, self._reported)
            if found is None and study and series and sop:
                folder = f"site/raw/{study}/{series}"
                found = self._file(dump, Uids(study, series, sop))
            if found is None:
                return
            if is_cut(dump, origin):
                os.unlink(os.path.join(self._staging, dump.file))
                self._removed.append(dump.file)
                return
            folder = "site/rejected"
            path = self._filer.set_aside(dump.file, sop)
            self._set_aside.append(SetAside(path, found.reason, found.text, study, series, sop))
        except OSError as error:
            # A part that storescp itself removed, because its association broke off, is nothing.
            if os.path.lexists(os.path.join(self._staging, dump.file)):
                text = f"{folder} cannot be written: {reason(error)}; what arrived stays in {self._staging}"
                self._kept.append(Kept(dump.file, text, study, series))

    def _file(self, dump: Dump, uids: Uids) -> Verdict | None:
        placed = self._filer.file(dump.file, uids)
        if placed is Placed.DIFFERS:
            return Verdict(Reason.DIFFERS, f"{Reason.DIFFERS.value}, and stays")
        if placed is Placed.NEW:
            self._filed[uids.study, uids.series] += 1
            syntax = dump.one(TRANSFER_SYNTAX_UID)
            if syntax in LOSSY_TRANSFER_SYNTAXES:
                self._lossy[uids.study, uids.series, syntax] += 1
        return None


def _uids_of_damaged(path: str) -> tuple[str | None, str | None, str | None]:
    """Study, series and image of a file of which dcmdump says nothing, as far as its beginning has them."""
    try:
        with open_regular(path, follow=False) as file:
            found = header.search(file.read(header.MOST_BYTES))
    except OSError:
        return None, None, None
    study, series = ([*uids, None][max(0, len(uids) - 1)] for uids in found[1:])
    return study, series, found.sop_instance_uid
