"""The kind of a failure between us and the scanner, read from the tools' own words.

Status words are those that findscu and movescu print for the codes of DICOM PS3.4 tables C.4-1 and C.4-2; the words
for associations are those of PS3.8 section 9.3.4 and of DCMTK's conditions.
"""

import re
from collections.abc import Iterable

from scanner_mover.failures import Failure, Kind

_HUNG_UP = "Association Request Failed: Peer aborted Association (or never connected)"

_TROUBLE = re.compile(r"[EF]: (?:[0-9a-f]{4}:[0-9a-f]{4} )?(.*\S)")
# A query file's name is another in each pass, and a fault must be told with the same words while it is the same.
_FILE = re.compile(r"(Find Failed|Bad DICOM file|bad DICOM file)(?:, file)?: .*")
# It is told of in either way, as it happens.
_RESET = re.compile(r"Association Request Failed: TCP I/O Error \(Connection reset by peer\) .*: sendAssociationRQTCP")
_CODE = re.compile(r"\b[0-9a-f]{4}:[0-9a-f]{4} ")


def of_status(status: str) -> Failure | None:
    """The failure that a final status is, None for Success.

    DCMTK 3.6.5 words some refusals otherwise than later versions, and a code that is not one of the service's own is
    printed as a number: what is not known to be better is a refusal.
    """
    if status.startswith("Success"):
        return None
    words = status.replace(" ", "")
    if "OutOfResources" in words or words.startswith("UnknownStatus:0xa70"):
        kind = Kind.OUT_OF_RESOURCES
    elif "MoveDestination" in words:
        kind = Kind.UNKNOWN_DESTINATION
    elif words.startswith("Warning"):
        kind = Kind.PARTIAL
    elif words.startswith(("Cancel", "Pending")):
        kind = Kind.INTERRUPTED
    else:
        kind = Kind.REFUSED
    return Failure(kind, status)


def of_lines(lines: Iterable[str]) -> Failure:
    """The failure that the error lines of a tool tell of, when a final status did not come."""
    texts = [_FILE.sub(r"\1", _CODE.sub("", found[1])) for line in lines if (found := _TROUBLE.fullmatch(line))]
    text = _RESET.sub(_HUNG_UP, " ".join(texts[:5])) or "no final status came"
    if "Association Request Failed" in text and re.search("TLS|OpenSSL", text):
        kind = Kind.INSECURE
    elif "Rejected" in text:
        kind = Kind.BUSY if "Transient" in text else Kind.REJECTED
    elif text == _HUNG_UP:
        kind = Kind.HUNG_UP
    elif "TCP Initialization Error" in text or "Association Request Failed" in text:
        kind = Kind.UNREACHABLE
    elif "No Acceptable Presentation Context" in text or "No presentation context" in text:
        kind = Kind.UNSUPPORTED
    else:
        kind = Kind.INTERRUPTED
    return Failure(kind, text)
