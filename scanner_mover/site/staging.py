"""What movescu received goes from a private staging folder to `site/raw`, or aside to `site/rejected`.

Each file is checked with dcmdump before it is renamed to STUDY/SERIES/SOPINSTANCEUID: under that name there is never
half a file. Nothing whole is thrown away; only the image that our own end of movescu cut short is removed (R27).
"""

import contextlib
import errno
import filecmp
import json
import os
import tempfile
from collections.abc import Callable, Collection

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import SERIES_INSTANCE_UID, SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, is_uid
from scanner_mover.errors import UnusableError, reason
from scanner_mover.signals import deferred
from scanner_mover.site.disk import sync_file_system
from scanner_mover.site.folders import STAGING_PREFIX, DataFolders, staging_left

# Pixel Data, Float Pixel Data, Double Float Pixel Data: DICOM PS3.3 sections C.7.6.3, C.7.6.24, C.7.6.25.
PIXEL_DATA = ("7fe0,0010", "7fe0,0008", "7fe0,0009")

# So many images are worth a look while others arrive.
_WORTH_A_LOOK = 32

# Which studies a staging folder's images were asked for; hidden, so it is no image.
_ASKED = ".asked.json"
_CHOWN = "give it to the user that runs this program, or make room"
# What a file system answers that has no hard links.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Receiver:
    """Files what `movescu +P` received during one pass."""

    def __init__(
        self,
        tools: Toolbox,
        settings: Settings,
        folders: DataFolders,
        asked: Collection[str],
        log: Callable[[str], None],
    ) -> None:
        """ASKED are the StudyInstanceUIDs that this pass asks for; images of others are set aside."""
        self._tools = tools
        self._settings = settings
        self._folders = folders
        self._asked = frozenset(asked)
        self._log = log
        #: How many images of studies that were asked for had to be set aside.
        self.set_aside = 0
        self._left_for_the_end: set[str] = set()
        # Studies of which an image cannot be filed, and why: more of the same would only fill the disk.
        self._stuck: dict[str, str] = {}

    def new_staging(self) -> str:
        """Make a new, empty folder that only we may enter, on the file system of `site/raw`.

        Raises UnusableError when it cannot be made.
        """
        raw = self._folders.raw
        self._left_for_the_end.clear()
        try:
            os.makedirs(raw, exist_ok=True)
            parent = self._folders.site
            if os.stat(parent).st_dev != os.stat(raw).st_dev:
                parent = raw
            staging = tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent)
            with open(os.path.join(staging, _ASKED), "x", encoding="ascii") as file:
                json.dump({"boot": clock.now().boot, "asked": sorted(self._asked)}, file)
        except OSError as error:
            raise UnusableError(f"no folder to receive into can be made in {raw}: {reason(error)}") from error
        return staging

    def need_place(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """See that a series can be filed before it is pulled: else it would be pulled again and again.

        Raises UnusableError when its folder cannot be made or written, or what came of the study earlier is stuck.
        """
        if study_instance_uid in self._stuck:
            raise UnusableError(self._stuck[study_instance_uid])
        group = self._settings.group
        if group is not None and os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
            raise UnusableError(f"group {group} cannot be given to files: our user is no member of it; add it there")
        folder = self._folders.series(study_instance_uid, series_instance_uid)
        try:
            os.makedirs(self._folders.raw, exist_ok=True)
            self._make(os.path.dirname(folder))
            self._make(folder)
        except OSError as error:
            raise UnusableError(f"{folder} cannot be made: {reason(error)}; {_CHOWN}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnusableError(f"{folder} cannot be written; {_CHOWN}")

    def file_left(self) -> None:
        """File, or set aside, what an earlier pass that was killed left in staging (R27).

        Raises UnusableError when some of it cannot be touched, after all the rest was filed.
        """
        problem = None
        for staging in staging_left(self._folders):
            try:
                if _images_in(staging):
                    self._log(f"an earlier pass left images in {staging}")
                self.drop_cut_short(staging)
                self.file(staging)
            except UnusableError as error:
                problem = error
        if problem is not None:
            raise problem

    def file_whole(self, staging: str) -> None:
        """File what is whole in STAGING while movescu still writes there; what is not, or not yet, stays.

        Raises UnusableError when an image cannot be moved.
        """
        names = [name for name in _images_in(staging) if name not in self._left_for_the_end]
        if len(names) <= _WORTH_A_LOOK:
            return
        # movescu writes one file at a time: the newest one is left to it.
        names.remove(_newest(staging, names))
        dumps = self._read(staging, names)
        sync_file_system(staging)
        for dump in dumps:
            if _problem(dump) is None and _unasked(dump, self._asked) is None:
                self._file_one(staging, dump, None)
            else:
                self._left_for_the_end.add(dump.file)

    def file(self, staging: str) -> None:
        """File or set aside everything in STAGING and remove it.

        Raises UnusableError when a file cannot be moved: it then stays in STAGING for the next pass.
        """
        boot, asked_then = _asked_in(staging)
        asked = self._asked | asked_then
        # What a power cut left may have its length and not its content.
        cut = None if boot == clock.now().boot else "this machine was restarted before it was on the disk"
        problem: UnusableError | None = None
        try:
            dumps = self._read(staging, _images_in(staging))
            if dumps:
                # Before its name, its content: after a power cut a name in site/raw must not lead to half an image.
                sync_file_system(staging)
            for dump in dumps:
                damage = _problem(dump)
                self.set_aside += damage is not None
                try:
                    self._file_one(staging, dump, damage or cut or _unasked(dump, asked))
                except UnusableError as error:  # the others are filed all the same
                    problem = error
                    self._stuck[dump.one(STUDY_INSTANCE_UID) or ""] = str(error)
            if problem is not None:
                raise problem
        finally:
            with deferred():  # also when a signal comes between the last image and this
                self.discard_if_empty(staging)

    def _file_one(self, staging: str, dump: Dump, problem: str | None) -> None:
        """File the image of DUMP or, when it has a PROBLEM, set it aside."""
        path = os.path.join(staging, dump.file)
        study, series, sop = (dump.one(tag) for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID))
        if problem is None and study and series and sop:
            self._into_raw(path, study, series, sop)
        else:
            self._set_aside(path, problem or "it has no UIDs")

    def discard_if_empty(self, staging: str) -> None:
        """Remove the folder STAGING if no image is left in it."""
        if not _images_in(staging):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(staging, _ASKED))
            with contextlib.suppress(OSError):
                os.rmdir(staging)

    def drop_cut_short(self, staging: str) -> None:
        """Remove the one file that was being written when movescu was ended: the newest, if it is not whole.

        Raises UnusableError when it cannot be removed.
        """
        try:
            names = _images_in(staging)
            if not names:
                return
            newest = _newest(staging, names)
            dump = self._read(staging, [newest])[0]
            if dump.error not in (None, dcmdump.Unread.BROKEN):
                return  # it could not be looked at, which says nothing of it
            if dump.error is not None or _is_image_without_pixels(dump):
                os.unlink(os.path.join(staging, newest))
                self._log(f"removed the image {newest} that was cut short")
        except OSError as error:
            raise UnusableError(f"{staging} cannot be cleaned up: {reason(error)}") from error

    def _read(self, staging: str, names: list[str]) -> list[Dump]:
        tags = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, *PIXEL_DATA)
        return dcmdump.dump(self._tools, staging, names, tags, load_all=False) if names else []

    def _into_raw(self, path: str, study: str, series: str, sop_instance_uid: str) -> None:
        folder = self._folders.series(study, series)
        try:
            self._make(os.path.dirname(folder))
            self._make(folder)
            self._give(path)
            os.rename(path, os.path.join(folder, sop_instance_uid))
        except OSError as error:
            raise UnusableError(f"{folder} cannot be written: {reason(error)}; what came stays in staging") from error

    def _give(self, path: str) -> None:
        """Give the file PATH the rights and the group that are set."""
        if self._settings.file_mode is not None:
            os.chmod(path, self._settings.file_mode)
        if self._settings.group is not None:
            os.chown(path, -1, self._settings.group)

    def _make(self, folder: str) -> None:
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        if self._settings.directory_mode is not None:
            os.chmod(folder, self._settings.directory_mode)
        if self._settings.group is not None:
            os.chown(folder, -1, self._settings.group)

    def _set_aside(self, path: str, problem: str) -> None:
        """Keep PATH in `site/rejected` under its own name or, where another of that name lies, with a number."""
        try:
            self._make(self._folders.rejected)
            self._give(path)
            target = kept = os.path.join(self._folders.rejected, os.path.basename(path))
            number = 0
            while True:
                try:
                    os.link(path, kept)
                    break
                except FileExistsError:
                    if filecmp.cmp(path, kept, shallow=False):
                        break
                    number += 1
                    kept = f"{target}.{number}"
                except OSError as error:
                    if error.errno not in _NO_LINKS or os.path.lexists(kept):
                        raise
                    os.rename(path, kept)
                    break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise UnusableError(f"{self._folders.rejected} cannot be written: {reason(error)}") from error
        self._log(f"set aside {kept}: {problem}")


def _newest(staging: str, names: list[str]) -> str:
    """The file among NAMES that was written last."""
    return max(names, key=lambda name: os.stat(os.path.join(staging, name)).st_mtime_ns)


def _images_in(staging: str) -> list[str]:
    """The files in STAGING; whatever else somebody put there is not ours.

    Raises UnusableError when it cannot be read.
    """
    try:
        with os.scandir(staging) as entries:
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            )
    except OSError as error:
        raise UnusableError(f"the folder {staging} cannot be read: {reason(error)}") from error


def _asked_in(staging: str) -> tuple[str | None, frozenset[str]]:
    """Since which start of the machine STAGING is there, and the studies that its images were asked for."""
    try:
        with open(os.path.join(staging, _ASKED), encoding="ascii") as file:
            value = json.load(file)
        return value["boot"], frozenset(uid for uid in value["asked"] if isinstance(uid, str))
    except (OSError, ValueError, TypeError, KeyError):
        return None, frozenset()


def _problem(dump: Dump) -> str | None:
    """Why the file of DUMP is not a whole image that is what it claims to be; None when it is."""
    if dump.error is not None:
        return f"it is not whole: {dump.words}"
    uids = {tag: dump.one(tag) for tag in (SOP_INSTANCE_UID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID)}
    for tag, uid in uids.items():
        if uid is None or not is_uid(uid):
            return f"its ({tag}) is no UID"
    # movescu names a file by the modality and the SOPInstanceUID that the C-STORE announced.
    if dump.file.partition(".")[2] != uids[SOP_INSTANCE_UID]:
        return "its SOPInstanceUID is not the one that it was announced with"
    if _is_image_without_pixels(dump):
        return "it is an image without pixel data"
    return None


def _unasked(dump: Dump, asked: Collection[str]) -> str | None:
    """That the study of DUMP is none of those ASKED for; None when it is one."""
    study = dump.one(STUDY_INSTANCE_UID)
    return None if study in asked else f"nobody asked for its study {study}"


def _is_image_without_pixels(dump: Dump) -> bool:
    """Whether the file, which dcmdump could read, was cut exactly before or in front of its pixel data's value.

    movescu stores what arrives cut there, and says Success: with no such element, or with an empty one.
    """
    if any(dump.has_value(tag) for tag in PIXEL_DATA):
        return False
    from pydicom.uid import UID  # costs 0.2 s, and only what has no pixel data needs it

    sop_class_uid = dump.one(SOP_CLASS_UID)
    return sop_class_uid is None or "Image Storage" in UID(sop_class_uid).name
