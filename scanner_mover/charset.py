"""Values of a scanner's answers as text: the character sets of DICOM PS3.3 section C.12.1.1.2, by pydicom."""

import warnings

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import TEXT_VR_DELIMS, PersonName


def decode(raw: str, vr: str, specific_character_set: tuple[str, ...]) -> str:
    """RAW, one character for each byte of a value, as text.

    SPECIFIC_CHARACTER_SET are the values of (0008,0005) in the same answer. Bytes that it does not explain are taken
    as UTF-8, else as Latin-1: a scanner that declares nothing is still readable.
    """
    content = raw.encode("latin-1")
    if content.isascii() and b"\x1b" not in content:
        return raw
    if specific_character_set and any(specific_character_set):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                encodings = convert_encodings(list(specific_character_set))
                if vr == "PN":
                    return str(PersonName(content, encodings)).rstrip("=")
                return decode_bytes(content, encodings, TEXT_VR_DELIMS)
            except (LookupError, UnicodeError, ValueError):
                pass
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return raw
