"""The kind of a failure between us and the scanner, read from the tools' own words.

Status words are those that findscu and movescu print for the codes of DICOM PS3.4 tables C.4-1 and C.4-2; the words
for associations are those of PS3.8 section 9.3.4 and of DCMTK's conditions.
"""

import re
from collections.abc import Iterable

from scanner_mover.failures import Detail, Failure, Kind, Title
from scanner_mover.text import beginning

_HUNG_UP = "Association Request Failed: Peer aborted Association (or never connected)"

_TROUBLE = re.compile(r"[EF]: (?:[0-9a-f]{4}:[0-9a-f]{4} )?(.*\S)")
# A query file has another name in each pass, and a fault must have the same words for as long as it is the same.
_FILE = re.compile(r"(Find Failed|Bad DICOM file|bad DICOM file)(?:, file)?: .*")
# DCMTK has two texts for a scanner that hangs up, as it happens.
_RESET = re.compile(r"Association Request Failed: TCP I/O Error \(Connection reset by peer\) .*: sendAssociationRQTCP")
_CODE = re.compile(r"\b[0-9a-f]{4}:[0-9a-f]{4} ")
_TITLES = {
    "Called AE Title Not Recognized": Title.CALLED,
    "Calling AE Title Not Recognized": Title.CALLING,
}
# What a line is about that says that an object is not taken, and what it names: a UID of DICOM, or a storage class.
_REFUSED = re.compile(r"[WEF]: .*(?:presentation context|sop class|transfer syntax)", re.IGNORECASE)
_NAMED = re.compile(r"1\.2\.840\.10008(?:\.[0-9]+)+|\b[A-Z][A-Za-z0-9]*Storage\b")
# More of the words of a tool than this help nobody.
_MOST_TEXTS = 5
_MOST_REFUSED = 3


def of_status(status: str) -> Failure | None:
    """The failure that a final status is, None for Success.

    DCMTK 3.6.5 words some refusals otherwise than later versions do, and a code that is not one of the service's own is
    printed as a number. What is not known to be better is a refusal.
    """
    if status.startswith("Success"):
        return None
    compact = status.replace(" ", "")
    if "OutOfResources" in compact or compact.startswith("UnknownStatus:0xa70"):
        kind = Kind.OUT_OF_RESOURCES
    elif "MoveDestination" in compact:
        kind = Kind.UNKNOWN_DESTINATION
    elif compact.startswith("Warning"):
        kind = Kind.PARTIAL
    elif compact.startswith("Cancel"):
        kind = Kind.CANCELLED
    elif compact.startswith("Pending"):
        kind = Kind.INTERRUPTED
    else:
        kind = Kind.REFUSED
    return Failure(kind, beginning(status))


def of_lines(lines: Iterable[str]) -> Failure:
    """The failure that the error lines of a tool describe, when no final status arrived.

    It knows which AE title was rejected, and what was refused, where the lines name it.
    """
    lines = list(lines)
    troubles = [beginning(found[1]) for line in lines if (found := _TROUBLE.fullmatch(line))]
    texts = [_FILE.sub(r"\1", _CODE.sub("", one)) for one in troubles]
    text = _RESET.sub(_HUNG_UP, " ".join(texts[:_MOST_TEXTS])) or "no final status came"
    title = next((title for text_of_it, title in _TITLES.items() if text_of_it in text), None)
    return Failure(_kind(text), text, Detail(title=title, refused=refused(lines)))


def _kind(text: str) -> Kind:
    """The kind of failure that TEXT, the error lines of a tool, describes."""
    if "Association Request Failed" in text and re.search("TLS|OpenSSL", text):
        return Kind.INSECURE
    if "Rejected" in text:
        return Kind.BUSY if "Transient" in text else Kind.REJECTED
    if text == _HUNG_UP:
        return Kind.HUNG_UP
    if "TCP Initialization Error" in text or "Association Request Failed" in text:
        return Kind.UNREACHABLE
    if re.search("no (?:acceptable |valid )?presentation context", text, re.IGNORECASE):
        return Kind.UNSUPPORTED
    return Kind.INTERRUPTED


def refused(lines: Iterable[str]) -> tuple[str, ...]:
    """The SOP classes and transfer syntaxes that LINES of movescu or storescp say are not taken, each once.

    At `-v` most versions name none.
    """
    named = [name for line in lines if _REFUSED.match(line) for name in _NAMED.findall(line)]
    return tuple(dict.fromkeys(named))[:_MOST_REFUSED]
