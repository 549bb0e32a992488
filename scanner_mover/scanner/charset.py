"""Values of a scanner's answers as text: the character sets of DICOM PS3.3 section C.12.1.1.2, by pydicom."""

import warnings

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS, PersonName

# The default repertoire, ISO 646, has no byte beyond ASCII.
_ASCII_ONLY = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))


def decode(raw: str, vr: str, specific_character_set: tuple[str, ...]) -> str:
    """The text that RAW stands for, which has one character for each byte of a value of VR.

    SPECIFIC_CHARACTER_SET has the values of (0008,0005) in the same answer. Bytes that it does not explain are read as
    UTF-8, and if they are not that, as Latin-1: so the names of a scanner that declares nothing can be read.
    """
    content = raw.encode("latin-1")
    if content.isascii() and b"\x1b" not in content:
        return raw
    if not _ASCII_ONLY.issuperset(specific_character_set):
        with warnings.catch_warnings():
            # pydicom warns where it replaces or guesses; our guess below is better.
            warnings.simplefilter("error")
            try:
                encodings = convert_encodings(list(specific_character_set))
                if vr == "PN":
                    return str(PersonName(content, encodings)).rstrip("=")
                return decode_bytes(content, encodings, TEXT_VR_DELIMS)
            except (LookupError, UnicodeError, ValueError, UserWarning):
                pass
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return raw
