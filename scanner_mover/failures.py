"""What can go wrong between us and the scanner: the kinds that differ in what helps. A plain module."""

import enum
from collections.abc import Iterable

from scanner_mover.record import Record


class Kind(enum.Enum):
    """The kinds of failure. `rules.retrieving` decides what is done about each."""

    UNREACHABLE = "no connection"
    HUNG_UP = "the scanner took the connection and closed it at once"
    BUSY = "the association was rejected for now"
    REJECTED = "the association was rejected for good"
    INSECURE = "no secure connection (TLS)"
    UNSUPPORTED = "the scanner does not offer the service"
    INTERRUPTED = "the association broke off, or an answer did not arrive or could not be read"
    KILLED = "a DCMTK tool of this server crashed or was killed"
    STALLED = "ended by us: no progress"
    LIMIT = "ended by us: more answers than we take"
    ENDLESS = "ended by us: its answers did not end"
    CANCELLED = "the scanner cancelled the request, as with a limit on the number of answers"
    OUT_OF_RESOURCES = "the scanner is out of resources"
    PARTIAL = "some images could not be sent"
    UNKNOWN_DESTINATION = "the scanner does not know where to send images"
    REFUSED = "the scanner refused or failed the request"


#: The scanner is off, or is not where we look for it: no DICOM message was exchanged.
NO_CONNECTION = frozenset({Kind.UNREACHABLE, Kind.HUNG_UP})


class Service(enum.Enum):
    """The DICOM service that failed (PS3.4 annexes A and C)."""

    ECHO = "C-ECHO"
    FIND = "C-FIND"
    MOVE = "C-MOVE"


class Level(enum.Enum):
    """The query/retrieve level of a request (PS3.4 section C.3.2), as (0008,0052) spells it."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


class Title(enum.Enum):
    """Which of the two AE titles of an association the scanner does not accept (PS3.8 table 9-21)."""

    CALLED = "called"
    CALLING = "calling"


class Detail(Record):
    """What is known of a failure beyond its kind; None or empty: not known.

    `refused` names SOP classes or transfer syntaxes that were not accepted, in the words of the tool.
    """

    service: Service | None = None
    level: Level | None = None
    title: Title | None = None
    refused: tuple[str, ...] = ()


class Failure(Record):
    """One failure: its kind, the tool's or the scanner's own words, and what else is known of it."""

    kind: Kind
    text: str
    detail: Detail = Detail()

    def about(self, service: Service | None = None, level: Level | None = None) -> "Failure":
        """This failure, with what its caller knows of the request; None: as it is."""
        known = self.detail
        return self._replace(detail=known._replace(service=service or known.service, level=level or known.level))

    def refusing(self, names: Iterable[str]) -> "Failure":
        """This failure, with the NAMES of SOP classes and transfer syntaxes that were not accepted."""
        known = self.detail
        return self._replace(detail=known._replace(refused=tuple(dict.fromkeys((*known.refused, *names)))))
