"""Which procedures have ended: the MPPS files in `scanner` (R19 to R21).

An MPPS is a Modality Performed Procedure Step, DICOM PS3.3 section B.17; the modality gives it an end time when the
procedure is over.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass

from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError, reason
from scanner_mover.tags import PERFORMED_PROCEDURE_STEP_END_TIME, SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, STUDY_INSTANCE_UID

# What may stand around a UID in the bytes of a file that cannot be read as DICOM.
_UID_BYTES = frozenset(b"0123456789.")


@dataclass(frozen=True)
class Step:
    """One MPPS file, for one study: its name, and its end time if it has one."""

    file: str
    end_time: str | None


def steps_of(
    tools: Toolbox, folder: str, study_instance_uids: Collection[str]
) -> tuple[dict[str, list[Step]], list[str]]:
    """The MPPS files in FOLDER that belong to each of STUDY_INSTANCE_UIDS; a study without one is not in the result.

    A file that cannot be read counts, without an end time, for the studies whose UID stands in its bytes; the second
    list has the paths of those that count for none.

    Raises UnusableError when FOLDER or a tool cannot be used. No FOLDER, no files.
    """
    unreadable = []
    steps: dict[str, list[Step]] = {}
    names = _regular_files(folder)
    tags = (STUDY_INSTANCE_UID, PERFORMED_PROCEDURE_STEP_END_TIME)
    for dump in dcmdump.dump(tools, folder, names, tags):
        # One in which neither is found, such as one of nothing but zeros, is no MPPS file, though dcmdump read it.
        if dump.error is None and dump.elements:
            ended = dump.one(PERFORMED_PROCEDURE_STEP_END_TIME)
            uids = {
                *dump.all(STUDY_INSTANCE_UID),
                *dump.all(STUDY_INSTANCE_UID, (SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,)),
            }
        else:
            ended, uids = None, _uids_in_bytes(os.path.join(folder, dump.file), study_instance_uids)
            if not uids:
                unreadable.append(os.path.join(folder, dump.file))
        for uid in uids.intersection(study_instance_uids):
            steps.setdefault(uid, []).append(Step(dump.file, ended))
    return steps, unreadable


def _regular_files(folder: str) -> list[str]:
    """The names of the files in FOLDER, not hidden ones, as the reference's `DIR/scanner/*`; links count."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnusableError(f"the folder {folder} cannot be read: {reason(error)}") from error


def _uids_in_bytes(path: str, study_instance_uids: Collection[str]) -> set[str]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return set()
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
