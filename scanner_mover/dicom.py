"""The tags that we read, as dcmdump and its `+P` name them (`gggg,eeee`), and UIDs.

Keywords are those of DICOM PS3.6. A UID is that of PS3.5 section 9.1 without its ban on leading zeros, which scanners
do send (R10).
"""

import re

MEDIA_STORAGE_SOP_INSTANCE_UID = "0002,0003"
SPECIFIC_CHARACTER_SET = "0008,0005"
SOP_CLASS_UID = "0008,0016"
SOP_INSTANCE_UID = "0008,0018"
STUDY_INSTANCE_UID = "0020,000d"
SERIES_INSTANCE_UID = "0020,000e"
IMAGES_IN_ACQUISITION = "0020,1002"
NUMBER_OF_SERIES_RELATED_INSTANCES = "0020,1209"
PERFORMED_PROCEDURE_STEP_END_TIME = "0040,0251"
PERFORMED_PROCEDURE_STEP_STATUS = "0040,0252"
SCHEDULED_STEP_ATTRIBUTES_SEQUENCE = "0040,0270"

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Whether TEXT is a UID: groups of digits divided by single dots, at most 64 characters."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None
