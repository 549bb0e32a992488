"""The MPPS files in `scanner`, and which studies they are about (R19 to R21).

An MPPS is a Modality Performed Procedure Step (DICOM PS3.3 section B.17, attributes in C.4.14). Whether a step has
ended is decided in `rules`; here are the values as they stand in the files.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.dcmdump import Dump, Unread
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import (
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    PERFORMED_PROCEDURE_STEP_END_TIME,
    PERFORMED_PROCEDURE_STEP_STATUS,
    SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    is_uid,
)
from scanner_mover.errors import UnusableError, reason
from scanner_mover.files import may_be_shown, open_regular, shown
from scanner_mover.site.mpps_cache import Cache, Read

_TAGS = (
    STUDY_INSTANCE_UID,
    PERFORMED_PROCEDURE_STEP_END_TIME,
    PERFORMED_PROCEDURE_STEP_STATUS,
    SOP_INSTANCE_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
)
# An MPPS file has some kilobytes, and a megabyte if it names some thousand images. No more than this is read of one.
_MOST_BYTES = 16 << 20
_PIECE = 1 << 20
# What may stand in a UID.
_RUN = re.compile(rb"[0-9.]+")
_LONGEST_UID = 64
# What says that a name, or what a link leads to, is not there. A link in a circle may have been a step.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True)
class Step:
    """One MPPS file, for one study it is about.

    `status` is (0040,0252) PerformedProcedureStepStatus and `end_time` (0040,0251) PerformedProcedureStepEndTime as
    they stand in the file, None where it has none. One that is not `readable` has neither.
    """

    file: str
    sop_instance_uid: str | None = None
    status: str | None = None
    end_time: str | None = None
    readable: bool = True

    @property
    def name(self) -> str:
        """What a log that everybody reads may call it (R21): names of files can hold a patient's."""
        if may_be_shown(self.file):
            return self.file
        uid = self.sop_instance_uid
        return uid if uid is not None and is_uid(uid) else "an MPPS file"


@dataclass(frozen=True)
class MppsFiles:
    """What is in the folder of MPPS files.

    `steps` has those of each requested study that has any, by name. `unreadable` are the paths of files that are no
    MPPS files and name no requested study. `faults` are about files that could not be looked at; each counts as an
    open step of every study that it may belong to.
    """

    steps: dict[str, tuple[Step, ...]]
    unreadable: tuple[str, ...] = ()
    faults: tuple[UnusableError, ...] = ()


class _Listing(NamedTuple):
    """The regular files of a folder, and the entries that could not be examined."""

    files: dict[str, os.stat_result]
    failed: dict[str, OSError]


def read_steps(tools: Toolbox, folder: str, study_instance_uids: Collection[str], cache: Cache) -> MppsFiles:
    """The MPPS files in FOLDER that belong to each of STUDY_INSTANCE_UIDS (R19).

    A file that CACHE knows as it is now is not read. One that cannot be read as an MPPS file belongs to the studies
    whose UID stands in its bytes or its name (R21). One that cannot be looked at belongs to the study in its name, or
    else to all of them: only what is not there counts as absent.

    Raises UnusableError when FOLDER or a tool cannot be used. No FOLDER, no files.
    """
    wanted = frozenset(study_instance_uids)
    steps: dict[str, list[Step]] = {}
    unreadable: list[str] = []
    files, failed = _list(folder)

    def found(uids: Iterable[str], step: Step) -> None:
        for uid in wanted.intersection(uids):
            steps.setdefault(uid, []).append(step)

    no_mpps = _read_all(tools, folder, files, cache, lambda name, read: found(read[3], Step(name, *read[:3])))
    for name in no_mpps:
        path = os.path.join(folder, name)
        uids = _uids_in_name(name, wanted)
        try:
            # A file of 0 bytes may be a kernel's, which can be read for ever.
            uids |= _uids_in_bytes(path, wanted) if files[name].st_size else set()
        except OSError as error:
            if error.errno not in _NOT_THERE:
                failed[name] = error
            continue
        found(uids, Step(name, readable=False))
        if not uids:
            unreadable.append(path)
    for name in failed:
        found(_uids_in_name(name, wanted) or wanted, Step(name, readable=False))
    ordered = {uid: tuple(sorted(of_study, key=lambda step: step.file)) for uid, of_study in steps.items()}
    return MppsFiles(ordered, tuple(sorted(unreadable)), tuple(_faults(folder, failed)))


def unreadable_lines(folder: str, unreadable: Collection[str]) -> list[str]:
    """The lines for the log about UNREADABLE files in FOLDER; a name that may be a patient's is not in them."""
    return [
        f"{text} cannot be read as {'an MPPS file' if files == 1 else 'MPPS files'} and "
        f"{'names' if files == 1 else 'name'} none of the requested studies"
        for text, files in shown(folder, unreadable)
    ]


def _list(folder: str) -> _Listing:
    """The files in FOLDER by name, not hidden ones, as the reference's `DIR/scanner/*`; links count."""
    listing = _Listing({}, {})
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        if os.path.islink(folder):
            raise UnusableError(f"the folder {folder} leads nowhere: is its disk mounted?") from None
        return listing
    except OSError as error:
        raise UnusableError(f"the folder {folder} cannot be read: {reason(error)}") from error
    for name in names:
        if name.startswith("."):
            continue
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError as error:
            # One that was taken away since the folder was read, or a link that leads nowhere, is none.
            if error.errno not in _NOT_THERE:
                listing.failed[name] = error
        else:
            if stat.S_ISREG(status.st_mode):
                listing.files[name] = status
    return listing


def _read_all(
    tools: Toolbox,
    folder: str,
    files: Mapping[str, os.stat_result],
    cache: Cache,
    found: Callable[[str, Read], None],
) -> list[str]:
    """Give each of FILES that is an MPPS file to FOUND; returns the names of the others."""
    now_ns = time.time_ns()
    no_mpps, to_read = [], []
    for name, status in files.items():
        known = cache.get(name, status)
        if known is not None:
            found(name, known)
        elif not 0 < status.st_size <= _MOST_BYTES or cache.hangs(name, status):
            no_mpps.append(name)
        else:
            to_read.append(name)
    for dump in dcmdump.dump(tools, folder, sorted(to_read), _TAGS, small_dictionary=True):
        read = _as_mpps(dump)
        if read is not None:
            cache.put(dump.file, files[dump.file], read, now_ns)
            found(dump.file, read)
            continue
        no_mpps.append(dump.file)
        if dump.error is Unread.TIMED_OUT:
            cache.put_hanging(dump.file, files[dump.file])
    return no_mpps


def _as_mpps(dump: Dump) -> Read | None:
    """What DUMP says; None when the file could not be read to its end or names no study, such as one of zeros."""
    uids = {*dump.all(STUDY_INSTANCE_UID), *dump.all(STUDY_INSTANCE_UID, (SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,))}
    uids.discard("")
    if dump.error is not None or not uids:
        return None
    return Read(
        dump.one(SOP_INSTANCE_UID) or dump.one(MEDIA_STORAGE_SOP_INSTANCE_UID),
        dump.one(PERFORMED_PROCEDURE_STEP_STATUS),
        dump.one(PERFORMED_PROCEDURE_STEP_END_TIME),
        tuple(sorted(uids)),
    )


def _uids_in_bytes(path: str, study_instance_uids: Collection[str]) -> set[str]:
    """Those of STUDY_INSTANCE_UIDS that stand by themselves, not as a part of a longer one, in the file PATH (R19).

    Only its first 16 MiB are read, in pieces. Raises OSError.
    """
    wanted = {uid.encode("ascii") for uid in study_instance_uids}
    found: set[bytes] = set()
    rest = b""
    left = _MOST_BYTES
    with open_regular(path) as file:
        while left > 0 and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            piece = rest + piece
            rest = b""
            for run in _RUN.finditer(piece):
                if run.end() == len(piece):
                    # It may go on in the next piece. One that is too long already is no UID, however it ends.
                    rest = run[0][: _LONGEST_UID + 1]
                elif run[0] in wanted:
                    found.add(run[0])
    return {uid.decode("ascii") for uid in found | wanted.intersection([rest])}


def _uids_in_name(name: str, study_instance_uids: Collection[str]) -> set[str]:
    """Those of STUDY_INSTANCE_UIDS that stand in NAME by themselves, as in `MPPS.UID`."""
    return {
        uid for uid in study_instance_uids if re.search(rf"(?<![0-9])(?<![0-9]\.){re.escape(uid)}(?!\.?[0-9])", name)
    }


def _faults(folder: str, failed: Mapping[str, OSError]) -> Iterable[UnusableError]:
    """One fault for each reason why files could not be looked at."""
    reasons: dict[str, list[str]] = {}
    for name, error in failed.items():
        reasons.setdefault(reason(error), []).append(os.path.join(folder, name))
    for why, paths in sorted(reasons.items()):
        names = ", ".join(text for text, _ in shown(folder, paths))
        yield UnusableError(
            f"MPPS files cannot be read: {names}: {why}; until they can, their studies count as in progress"
        )
