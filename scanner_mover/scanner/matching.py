"""Whether an answer matches what was asked for (DICOM PS3.4 section C.2.2.2).

A scanner may ignore a key that is optional, and then returns everything. Here it is only found out what surely does not
match: a scanner may take no notice of case and accents, and each name may have several representations.
"""

import re
import unicodedata


def matches_text(value: str | None, pattern: str) -> bool:
    """Whether a text VALUE, or one of its values divided by `\\`, matches PATTERN with its wildcards `*` and `?`.

    A name of a person may have up to three representations, divided by `=` (PS3.5 section 6.2.1.2). Without a value
    only a PATTERN that matches everything does.
    """
    if not pattern.strip("*"):
        return True
    wildcard = re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in _plain(pattern)), re.DOTALL)
    return any(wildcard.fullmatch(_plain(one)) for one in _alternatives(value or ""))


def matches_date(value: str | None, wanted: str) -> bool:
    """Whether the date VALUE (VR DA) is WANTED, one date or a range of two of which one may be missing."""
    date = re.sub(r"[^0-9]", "", value or "")
    if len(date) != 8:
        return False
    first, dash, last = wanted.partition("-")
    return first <= date <= (last or "99999999") if dash else date == first


def _alternatives(value: str) -> set[str]:
    return {value, *value.split("\\"), *value.split("=")}


def _plain(text: str) -> str:
    """TEXT in small letters without accents, and without what pads or ends a value."""
    letters = (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return "".join(letters).lower().strip(" \0").rstrip("^ ")
