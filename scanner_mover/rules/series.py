"""How many images a series has, and whether all of them are here (R13, R22 b, R33, R34, R36, R37)."""

import re
from collections.abc import Collection, Iterable

from scanner_mover.dicom import is_uid
from scanner_mover.failures import Failure, Kind
from scanner_mover.moment import Moment
from scanner_mover.record import Record
from scanner_mover.rules.records import Listing, ReportedSeries, SeriesMemory

# R34: this many lists in a row that are cut short count as a refusal.
CUT_LISTS = 3
# R36: what vanished at the scanner is waited for during an hour; a console that is re-indexing lists less for a while.
VANISHED_SECONDS = 3600.0

# An integer string: DICOM PS3.5 section 6.2, VR IS.
_INTEGER_STRING = re.compile(r"\+?[0-9]{1,11}")
_LARGEST_INTEGER_STRING = 2**31 - 1

# A final status of a C-FIND that is an answer to the question, not a trouble of the network.
_ANSWERED = {Kind.REFUSED, Kind.OUT_OF_RESOURCES, Kind.CANCELLED, Kind.PARTIAL, Kind.LIMIT}


class Count(Record):
    """One series, counted: images expected (None: not known) and here, how many are missing by name, and the verdict.

    `vanished`: the scanner reports fewer images than before, or no such series, and fewer than before are here (R36).
    `given_up_in`: all that it still has is here; seconds until the rest is no longer waited for. None otherwise.
    """

    expected: int | None
    received: int
    complete: bool
    missing: int = 0
    vanished: bool = False
    given_up_in: float | None = None


def number_of_images(text: str | None) -> int | None:
    """The number in an integer string; None for text that is no number, and for numbers below 1 (R13)."""
    if text is None or not _INTEGER_STRING.fullmatch(text):
        return None
    number = int(text)
    return number if 1 <= number <= _LARGEST_INTEGER_STRING else None


def are_named_by_uid(names: Iterable[str]) -> bool:
    """Whether files in a series' folder are named by UIDs, so that names can prove what is missing (R22 b)."""
    return any(is_uid(name) for name in names)


def missing_by_name(sop_instance_uids: Iterable[str], names: Collection[str]) -> set[str]:
    """The images that the scanner has and of which no file here has the name (R22 b)."""
    return set(sop_instance_uids).difference(names)


def is_answer(failure: Failure | None) -> bool:
    """Whether the scanner answered the question, be it with a failure; not so when the network broke."""
    return failure is None or failure.kind in _ANSWERED


def listing(
    sop_instance_uids: Collection[str],
    answers: int,
    failure: Failure | None,
    names: Collection[str],
    earlier: Listing | None,
) -> Listing | None:
    """What an IMAGE-level list means; None when it is no answer, and what was known before still holds (R22 b, R34).

    A failure without any UID is a refusal of the level, but for a lack of resources and for Cancel, which may be gone
    the next time: these, and lists that end with a failure after some answers, were cut short.
    """
    if not is_answer(failure):
        return None
    refused = failure is not None and failure.kind is Kind.REFUSED and not sop_instance_uids
    cut = failure is not None and not refused
    return Listing(
        succeeded=failure is None,
        refused=refused,
        listed=len(set(sop_instance_uids)),
        answers=answers,
        missing=len(missing_by_name(sop_instance_uids, names)),
        cut_in_a_row=(earlier.cut_in_a_row if earlier else 0) + 1 if cut else 0,
        digest=digest(sop_instance_uids),
    )


def stale(known: Listing, here: int) -> Listing:
    """KNOWN after the number of images HERE has changed: which of its images are missing is then only an estimate.

    What closes a request is listed anew before (R22 b).
    """
    return known._replace(missing=max(0, known.listed - here))


def digest(sop_instance_uids: Iterable[str]) -> str:
    """A short text for a set of UIDs; different sets have different ones."""
    import hashlib

    return hashlib.sha256("\n".join(sorted(set(sop_instance_uids))).encode()).hexdigest()[:16]


def relies_on_count(known: Listing | None) -> bool:
    """Whether the scanner's number decides because it gives no list: refused, empty, or cut short too often (R34)."""
    if known is None:
        return False
    return known.refused or known.cut_in_a_row >= CUT_LISTS or (known.succeeded and not known.listed)


def list_decides(reported: ReportedSeries, known: Listing | None) -> bool:
    """Whether the scanner's list, not a number of its own, says how many images there are (R13, R33)."""
    usable = known is not None and known.succeeded and known.listed > 0
    return usable and reported.number_of_series_related_instances is None


def count(reported: ReportedSeries, names: Collection[str], known: Listing | None, *, empty: bool = False) -> Count:
    """Count one series by what is REPORTED, by the NAMES of the images here, and by its list as far as it is KNOWN.

    EMPTY: its list was empty in two passes after the end of the procedure (R37).
    """
    by_name = are_named_by_uid(names)
    number = reported.number_of_series_related_instances
    if known is not None and known.succeeded and known.listed:
        return _count_by_list(number, len(names), by_name, known)
    received = sum(map(is_uid, names)) if by_name and known is not None else len(names)
    if reported.number is None:
        return Count(0 if empty else None, len(names), complete=empty)
    missing = known.missing if known is not None and by_name else 0
    if known is not None and by_name and relies_on_count(known):
        # Beside images that are named by UIDs a file of another name is no image of the series.
        missing = max(missing, reported.number - received)
    return Count(reported.number, len(names), len(names) >= reported.number and missing <= 0, max(0, missing))


def _count_by_list(number: int | None, received: int, by_name: bool, known: Listing) -> Count:
    """R33: every listed UID is here and, with (0020,1209), either the answers or the images are that many."""
    expected = known.listed if number is None or known.answers >= number else number
    if received and not by_name:
        return Count(expected, received, received >= expected)
    enough = number is None or known.answers >= number or received >= number
    return Count(expected, received, known.missing == 0 and enough, known.missing)


def solid_count(reported: ReportedSeries, known: Listing | None) -> int | None:
    """The scanner's number of images that is no planned one: (0020,1209), else the length of the list that decides."""
    if reported.number_of_series_related_instances is not None:
        return reported.number_of_series_related_instances
    return known.listed if known is not None and list_decides(reported, known) else None


def is_missed(memory: SeriesMemory) -> bool:
    """Whether a series that the scanner no longer has is still of interest: images of it never arrived (R36)."""
    expected = memory.largest_reported or memory.expected
    if not expected:
        return False
    # One that was given up as vanished is remembered until its request is closed, which then says so.
    return not memory.complete or (memory.shrunk_since is not None and memory.received < expected)


def with_vanished(
    counted: Count, solid: int | None, memory: SeriesMemory, now: Moment, *, reported: bool
) -> tuple[Count, Moment | None]:
    """COUNTED, with what vanished at the scanner taken into account (R36), and since when it has.

    SOLID is the scanner's number now; REPORTED: it still has the series. During an hour the largest number that it ever
    reported is waited for; after that the study may finish, and `vanished` says that images are missing for
    good.
    """
    largest = memory.largest_reported if reported else memory.largest_reported or memory.expected
    if largest is None or (reported and (solid is None or solid >= largest)):
        return counted, None
    since = memory.shrunk_since if memory.shrunk_since and now.since(memory.shrunk_since) is not None else now
    missing = max(0, largest - counted.received)
    if not missing:
        return counted if reported else Count(largest, counted.received, complete=True), since
    waited = now.since(since) or 0.0
    if waited < VANISHED_SECONDS:
        left = VANISHED_SECONDS - waited if counted.complete or not reported else None
        return Count(largest, counted.received, complete=False, missing=counted.missing, given_up_in=left), since
    complete = counted.complete or not reported
    return Count(largest, counted.received, complete, counted.missing, vanished=True), since


def lists_nothing(reported: ReportedSeries, known: Listing | None) -> bool:
    """Whether a series without a count has an empty list: nothing can be asked for (R37)."""
    return reported.number is None and known is not None and known.succeeded and not known.listed


def empty_since(
    known: Listing | None, reported: ReportedSeries, memory: SeriesMemory, now: Moment, *, ended: bool
) -> Moment | None:
    """Since when a series without a count has an empty list although the procedure has ended (R37)."""
    if not lists_nothing(reported, known) or not ended:
        return None
    earlier = memory.empty_since
    return earlier if earlier is not None and now.since(earlier) is not None else now


def is_empty(since: Moment | None, asked: Moment | None, quiet_seconds: float) -> bool:
    """Whether its list was empty in two passes at least `quiet_seconds` apart; ASKED is the time of the last one."""
    if since is None or asked is None:
        return False
    elapsed = asked.since(since)
    return elapsed is not None and elapsed > 0 and elapsed >= quiet_seconds
