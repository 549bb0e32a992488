"""Which procedures have ended: the MPPS files in `scanner` (R19 to R21).

An MPPS is a Modality Performed Procedure Step, DICOM PS3.3 section B.17; the modality gives it an end time when the
procedure is over.
"""

import contextlib
import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass

from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import (
    PERFORMED_PROCEDURE_STEP_END_TIME,
    SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
    STUDY_INSTANCE_UID,
)
from scanner_mover.errors import UnusableError, reason
from scanner_mover.site.mpps_cache import Index, Read

# What may stand around a UID in the bytes of a file that cannot be read as DICOM.
_UID_BYTES = frozenset(b"0123456789.")


@dataclass(frozen=True)
class Step:
    """One MPPS file, for one study: its name, and its end time if it has one."""

    file: str
    end_time: str | None


def steps_of(
    tools: Toolbox, folder: str, study_instance_uids: Collection[str], index: Index
) -> tuple[dict[str, list[Step]], list[str]]:
    """The MPPS files in FOLDER that belong to each of STUDY_INSTANCE_UIDS; a study without one is not in the result.

    A file that INDEX knows as it is now is not read. One that cannot be read counts, without an end time, for the
    studies whose UID stands in its bytes; the second list has the paths of those that count for none.

    Raises UnusableError when FOLDER or a tool cannot be used. No FOLDER, no files.
    """
    now_ns = time.time_ns()
    unreadable = []
    steps: dict[str, list[Step]] = {}
    wanted = frozenset(study_instance_uids)

    def found(name: str, read: Read) -> None:
        for uid in wanted.intersection(read.study_instance_uids):
            steps.setdefault(uid, []).append(Step(name, read.end_time))

    to_read = {}
    for name, status in _regular_files(folder).items():
        known = index.get(name, status)
        if known is None:
            to_read[name] = status
        else:
            found(name, known)
    for dump in dcmdump.dump(tools, folder, sorted(to_read), (STUDY_INSTANCE_UID, PERFORMED_PROCEDURE_STEP_END_TIME)):
        # One in which neither is found, such as one of nothing but zeros, is no MPPS file, though dcmdump read it.
        if dump.error is None and dump.elements:
            uids = {
                *dump.all(STUDY_INSTANCE_UID),
                *dump.all(STUDY_INSTANCE_UID, (SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,)),
            }
            read = Read(dump.one(PERFORMED_PROCEDURE_STEP_END_TIME), tuple(sorted(uids)))
            index.put(dump.file, to_read[dump.file], read, now_ns)
        else:
            read = Read(None, tuple(_uids_in_bytes(os.path.join(folder, dump.file), wanted)))
            if not read.study_instance_uids:
                unreadable.append(os.path.join(folder, dump.file))
        found(dump.file, read)
    for of_study in steps.values():
        of_study.sort(key=lambda step: step.file)
    return steps, unreadable


def _regular_files(folder: str) -> dict[str, os.stat_result]:
    """The files in FOLDER by name, not hidden ones, as the reference's `DIR/scanner/*`; links count."""
    files = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # One that was taken away since the folder was read, or a link that leads nowhere, is none.
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and entry.is_file():
                        files[entry.name] = entry.stat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnusableError(f"the folder {folder} cannot be read: {reason(error)}") from error
    return files


def _uids_in_bytes(path: str, study_instance_uids: Collection[str]) -> set[str]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        # One that we may not read can still be named after its study: `UID.mpps`.
        name = os.path.basename(path)
        return {uid for uid in study_instance_uids if re.search(rf"(?<![0-9.]){re.escape(uid)}(?!\.?[0-9])", name)}
    return {uid for uid in study_instance_uids if _stands_in(content, uid.encode("ascii"))}


def _stands_in(content: bytes, uid: bytes) -> bool:
    """Whether UID stands in CONTENT by itself, not as a part of a longer one (R19)."""
    start = content.find(uid)
    while start >= 0:
        end = start + len(uid)
        around = content[max(0, start - 1) : start] + content[end : end + 1]
        if not _UID_BYTES.intersection(around):
            return True
        start = content.find(uid, start + 1)
    return False
