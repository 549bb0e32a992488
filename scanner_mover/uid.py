"""DICOM unique identifiers as they come from file names, files and scanners (R10).

The rule is that of DICOM PS3.5 section 9.1 without its ban on leading zeros, which scanners do send.
"""

import re

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Whether TEXT is a UID: groups of digits divided by single dots, at most 64 characters."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None
