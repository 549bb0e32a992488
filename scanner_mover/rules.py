"""What is known of a study, and what is done with it: the rules R13 to R25 as pure functions.

Nothing here touches a disk, a process or a clock.
"""

import enum
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from scanner_mover.dicom import is_uid
from scanner_mover.moment import Moment

# R24: a clock that jumps fails nothing.
OVER_AGE_TWICE_SECONDS = 60.0

# An integer string: DICOM PS3.5 section 6.2, VR IS.
_INTEGER_STRING = re.compile(r"\+?[0-9]{1,11}")
_LARGEST_INTEGER_STRING = 2**31 - 1


class Procedure(enum.Enum):
    """The state of a study's procedure, by the MPPS files that are here (R20, R21)."""

    ENDED = "ended"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"


class Outcome(enum.Enum):
    """What a pass did with a request."""

    FINISHED = "finished"
    FAILED = "failed"
    WAITING = "waiting"
    ERROR = "error"


@dataclass(frozen=True)
class SeriesFacts:
    """One series: what the scanner has, what is here, and whether names prove that something is missing."""

    series_instance_uid: str
    expected: int | None
    received: int
    missing_by_name: int = 0

    @property
    def complete(self) -> bool:
        """Images present are at least those expected; without a number a series is never complete (R13, R22)."""
        return self.expected is not None and self.received >= self.expected and not self.missing_by_name


def number_of_images(text: str | None) -> int | None:
    """The number in an integer string; None for what is no number or below 1 (R13)."""
    if text is None or not _INTEGER_STRING.fullmatch(text):
        return None
    number = int(text)
    return number if 1 <= number <= _LARGEST_INTEGER_STRING else None


def expected_images(
    number_of_series_related_instances: str | None, images_in_acquisition: str | None, listed: int | None
) -> int | None:
    """How many images a series has: by (0020,1209), else (0020,1002), else the answers at IMAGE level (R13)."""
    for number in (number_of_images(number_of_series_related_instances), number_of_images(images_in_acquisition)):
        if number is not None:
            return number
    return listed if listed is not None and listed >= 1 else None


def procedure(end_times: Collection[str | None]) -> Procedure:
    """The state of a procedure from the end time in each of its MPPS files, None where there is none (R19 to R21)."""
    if not end_times:
        return Procedure.UNKNOWN
    return Procedure.ENDED if all(end_times) else Procedure.IN_PROGRESS


def may_pull(moved: Moment | None, now: Moment, *, grows: bool, repull_after_seconds: float) -> bool:
    """Whether an incomplete series may be pulled now (R18).

    MOVED is when its last C-MOVE ended with Success, None if none did. A series whose images still arrive, or that
    was moved less than `repull_after_seconds` ago, is left to the program that files them.
    """
    if moved is None:
        return True
    if grows:
        return False
    elapsed = now.since(moved)
    return elapsed is None or elapsed >= repull_after_seconds


def unchanged_since(
    counts: Sequence[tuple[str, int | None]],
    earlier_counts: Sequence[tuple[str, int | None]] | None,
    earlier: Moment | None,
    now: Moment,
) -> Moment:
    """Since when the scanner's series and counts have been what they are NOW (R22 a)."""
    if earlier is None or now.since(earlier) is None or earlier_counts is None or list(counts) != list(earlier_counts):
        return now
    return earlier


def is_quiet(since: Moment, now: Moment, quiet_seconds: float) -> bool:
    """Whether nothing changed for `quiet_seconds` (R22 a)."""
    elapsed = now.since(since)
    return elapsed is not None and elapsed >= quiet_seconds


def are_named_by_uid(names: Iterable[str]) -> bool:
    """Whether files in a series' folder are named by UIDs, so that names can prove what is missing (R22 b)."""
    return any(is_uid(name) for name in names)


def missing_by_name(sop_instance_uids: Iterable[str], names: Collection[str]) -> set[str]:
    """The images that the scanner has and of which no file here has the name (R22 b)."""
    return set(sop_instance_uids).difference(names)


def may_finish(answered: bool, series: Sequence[SeriesFacts], state: Procedure, quiet: bool) -> bool:
    """Whether a request may be closed as finished, but for the check by name (R14, R20 to R23).

    ANSWERED: the scanner's answer ended with status Success and was understood.
    """
    return answered and bool(series) and all(one.complete for one in series) and state is Procedure.ENDED and quiet


def over_age_since(over_age: bool, answered: bool, earlier: Moment | None, now: Moment) -> Moment | None:
    """When a request was first seen over age by a pass that the scanner answered (R24)."""
    if not over_age:
        return None
    if earlier is not None and now.since(earlier) is not None:
        return earlier
    return now if answered else None


def gives_up(answered: bool, since: Moment | None, now: Moment) -> bool:
    """Whether a request that is not finished has failed: over age in two passes, the scanner answering (R24)."""
    elapsed = now.since(since)
    return answered and elapsed is not None and elapsed >= OVER_AGE_TWICE_SECONDS
