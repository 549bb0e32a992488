"""The UIDs in the beginning of a file that is not whole, or not yet: where dcmdump says nothing, bytes are searched.

What is found serves the progress of a retrieve and the name of a damaged file, never the filing of one.
"""

import contextlib
import re
import zlib
from typing import NamedTuple

#: How much of a file is worth reading: (0020,000d) stands in the first group 0020, and little goes before it.
MOST_BYTES = 4 << 20

_DEFLATED = b"1.2.840.10008.1.2.1.99"
# Preamble and prefix, the element of the group's length, its value, the rest of group 0002 (DICOM PS3.10 section 7.1).
_META_LENGTH_AT = 140
_META_AT = 144
_LONGEST_META = 4096
_ANNOUNCED = re.compile(rb"\x02\x00\x03\x00UI..([0-9.]{1,64})", re.DOTALL)
# The tag in either byte order, then VR and length, or a longer length, then the UID (PS3.5 section 7.1).
_STUDY = re.compile(rb"(?:\x20\x00\x0d\x00|\x00\x20\x00\x0d).{4}([0-9.]{1,64})", re.DOTALL)
_SERIES = re.compile(rb"(?:\x20\x00\x0e\x00|\x00\x20\x00\x0e).{4}([0-9.]{1,64})", re.DOTALL)


class Header(NamedTuple):
    """UIDs in the order in which they stand; the outermost one comes last, those of sequences may come before.

    `sop_instance_uid` is the one that the C-STORE announced.
    """

    sop_instance_uid: str | None
    study_instance_uids: tuple[str, ...]
    series_instance_uids: tuple[str, ...]


def search(beginning: bytes) -> Header:
    """The UIDs in the BEGINNING of a file."""
    announced = _ANNOUNCED.search(beginning[:_LONGEST_META])
    text = _inflated(beginning)
    studies, series = (tuple(uid.decode("ascii") for uid in found.findall(text)) for found in (_STUDY, _SERIES))
    return Header(announced[1].decode("ascii") if announced else None, studies, series)


def _inflated(beginning: bytes) -> bytes:
    """BEGINNING as it is, or inflated where its transfer syntax is the deflated one (PS3.5 section A.5)."""
    if _DEFLATED not in beginning[:_LONGEST_META]:
        return beginning
    begin = _META_AT + int.from_bytes(beginning[_META_LENGTH_AT:_META_AT], "little")
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(beginning[begin:], MOST_BYTES)
    return beginning
