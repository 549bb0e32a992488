"""Is a file that storescp wrote a whole image that was asked for? What dcmdump said of it decides.

dcmdump finds a cut inside an element, not one between two: so the UIDs must be there and be those that the C-STORE
command announced, which storescp writes into group 0002 (DICOM PS3.10 section 7.1), and an image must have pixels.
"""

import enum
from collections.abc import Collection, Mapping
from typing import NamedTuple

from scanner_mover.dcmtk.dcmdump import Dump, Unread
from scanner_mover.dicom import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    TRANSFER_SYNTAX_UID,
    is_uid,
)

_PIXELS = (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA)
#: What has to be read of a file.
TAGS = (
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    TRANSFER_SYNTAX_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    SERIES_INSTANCE_UID,
    *_PIXELS,
)


class Reason(enum.Enum):
    """Why a file is not filed."""

    DAMAGED = "it is not whole"
    NO_UID = "it lacks a UID"
    ANNOUNCED_OTHERWISE = "it is not what it was announced as"
    NO_PIXELS = "it is an image without pixel data"
    NOT_REQUESTED = "nobody asked for its study"
    OTHER_SERIES = "the scanner does not list its series"
    CUT_SHORT = "its receiver was ended while it wrote it"
    RESTARTED = "this machine was restarted before it was on the disk"
    DIFFERS = "another image with its UID is here already"


#: Those of a file that is not whole, or not what it claims to be.
DAMAGE = frozenset({Reason.DAMAGED, Reason.NO_UID, Reason.ANNOUNCED_OTHERWISE, Reason.NO_PIXELS})


class Verdict(NamedTuple):
    """Why a file is not filed, for a program and for a person."""

    reason: Reason
    text: str


class Origin(enum.Enum):
    """What is known of how a file was written."""

    CLOSED = "storescp closed it by itself"
    OPEN = "storescp was ended while it wrote it"
    INTERRUPTED = "storescp may have been ended while it wrote it"
    BEFORE_RESTART = "the machine was restarted since; its length may be right and its content not"


def verdict(
    dump: Dump, origin: Origin, requested: Collection[str], reported: Mapping[str, Collection[str]]
) -> Verdict | None:
    """Why the file of DUMP is not filed; None when it is a whole object of a REQUESTED study.

    REPORTED are the SeriesInstanceUIDs that the scanner lists of a study: an object of another series is not filed.
    Every series of a study that is not in it is accepted.
    """
    return _damage(dump) or _doubt(dump, origin) or _unrequested(dump, requested) or _unlisted(dump, reported)


def _damage(dump: Dump) -> Verdict | None:
    if dump.error is not None:
        return Verdict(Reason.DAMAGED, f"it is not whole: {dump.text}")
    for tag in (SOP_INSTANCE_UID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID):
        uid = dump.one(tag)
        if uid is None or not is_uid(uid):
            return Verdict(Reason.NO_UID, f"its ({tag}) is no UID")
    for tag, announced, name in (
        (SOP_INSTANCE_UID, MEDIA_STORAGE_SOP_INSTANCE_UID, "SOPInstanceUID"),
        (SOP_CLASS_UID, MEDIA_STORAGE_SOP_CLASS_UID, "SOPClassUID"),
    ):
        if dump.one(tag) is None or dump.one(tag) != dump.one(announced):
            return Verdict(Reason.ANNOUNCED_OTHERWISE, f"its {name} is not the one that it was announced with")
    if not _has_pixels(dump) and _is_image(dump):
        return Verdict(Reason.NO_PIXELS, Reason.NO_PIXELS.value)
    return None


def _doubt(dump: Dump, origin: Origin) -> Verdict | None:
    """A cut between two elements leaves no trace but in an image, whose pixel data come last."""
    if origin is Origin.BEFORE_RESTART:
        return Verdict(Reason.RESTARTED, Reason.RESTARTED.value)
    if origin is not Origin.CLOSED and not (_has_pixels(dump) and _is_image(dump)):
        return Verdict(Reason.CUT_SHORT, f"{Reason.CUT_SHORT.value}, and nothing shows that it is whole")
    return None


def _unrequested(dump: Dump, requested: Collection[str]) -> Verdict | None:
    study = dump.one(STUDY_INSTANCE_UID)
    return None if study in requested else Verdict(Reason.NOT_REQUESTED, f"{Reason.NOT_REQUESTED.value} {study}")


def _unlisted(dump: Dump, reported: Mapping[str, Collection[str]]) -> Verdict | None:
    study, series = dump.one(STUDY_INSTANCE_UID), dump.one(SERIES_INSTANCE_UID)
    if study is None or study not in reported or series in reported[study]:
        return None
    return Verdict(Reason.OTHER_SERIES, f"{Reason.OTHER_SERIES.value} {series} in study {study}")


def is_cut(dump: Dump, origin: Origin) -> bool:
    """Whether the file of DUMP is one that our own end of storescp cut short (R27), and visibly lacks its end."""
    return origin is Origin.OPEN and _lacks_its_end(dump)


def _lacks_its_end(dump: Dump) -> bool:
    return dump.error is Unread.BROKEN or (dump.error is None and not _has_pixels(dump) and _is_image(dump))


def _has_pixels(dump: Dump) -> bool:
    return any(dump.has_value(tag) for tag in _PIXELS)


def _is_image(dump: Dump) -> bool:
    """Whether the SOP class is one of images; one that is missing may be."""
    from pydicom.uid import UID  # costs 0.2 s, and only what has no pixel data or was interrupted needs it

    sop_class_uid = dump.one(SOP_CLASS_UID)
    return sop_class_uid is None or "Image Storage" in UID(sop_class_uid).name
