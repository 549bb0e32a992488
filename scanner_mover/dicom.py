"""The tags that we read, as dcmdump and its `+P` name them (`gggg,eeee`), and UIDs.

Keywords are those of DICOM PS3.6. A UID is that of PS3.5 section 9.1 without its ban on leading zeros, which scanners
do send (R10). A plain module.
"""

import re

MEDIA_STORAGE_SOP_CLASS_UID = "0002,0002"
MEDIA_STORAGE_SOP_INSTANCE_UID = "0002,0003"
TRANSFER_SYNTAX_UID = "0002,0010"
SPECIFIC_CHARACTER_SET = "0008,0005"
SOP_CLASS_UID = "0008,0016"
SOP_INSTANCE_UID = "0008,0018"
STUDY_DATE = "0008,0020"
MODALITY = "0008,0060"
STUDY_INSTANCE_UID = "0020,000d"
SERIES_INSTANCE_UID = "0020,000e"
IMAGES_IN_ACQUISITION = "0020,1002"
NUMBER_OF_STUDY_RELATED_SERIES = "0020,1206"
NUMBER_OF_STUDY_RELATED_INSTANCES = "0020,1208"
NUMBER_OF_SERIES_RELATED_INSTANCES = "0020,1209"
PERFORMED_PROCEDURE_STEP_END_TIME = "0040,0251"
PERFORMED_PROCEDURE_STEP_STATUS = "0040,0252"
SCHEDULED_STEP_ATTRIBUTES_SEQUENCE = "0040,0270"
# PS3.3 sections C.7.6.3, C.7.6.24 and C.7.6.25.
PIXEL_DATA = "7fe0,0010"
FLOAT_PIXEL_DATA = "7fe0,0008"
DOUBLE_FLOAT_PIXEL_DATA = "7fe0,0009"

#: The transfer syntaxes (PS3.5 annex A) in which pixels are, or may be, no longer those that were acquired.
LOSSY_TRANSFER_SYNTAXES = {
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000, which may be lossy",
    "1.2.840.10008.1.2.4.93": "JPEG 2000 Part 2, which may be lossy",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Level",
    "1.2.840.10008.1.2.4.101": "MPEG2 High Level",
    "1.2.840.10008.1.2.4.102": "MPEG-4 High Profile",
    "1.2.840.10008.1.2.4.103": "MPEG-4 BD-compatible",
    "1.2.840.10008.1.2.4.104": "MPEG-4 for 2D video",
    "1.2.840.10008.1.2.4.105": "MPEG-4 for 3D video",
    "1.2.840.10008.1.2.4.106": "MPEG-4 Stereo",
    "1.2.840.10008.1.2.4.107": "HEVC Main Profile",
    "1.2.840.10008.1.2.4.108": "HEVC Main 10 Profile",
    "1.2.840.10008.1.2.4.111": "JPEG XL of a lossy JPEG",
    "1.2.840.10008.1.2.4.112": "JPEG XL, which may be lossy",
    "1.2.840.10008.1.2.4.203": "HTJ2K, which may be lossy",
}

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Whether TEXT is a UID: groups of digits divided by single dots, at most 64 characters."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def uid_order(uid: str) -> tuple[int, ...]:
    """The order of UIDs in which `1.10` comes after `1.9`; what is no UID comes first."""
    return tuple(map(int, uid.split("."))) if is_uid(uid) else ()
