"""Whether a procedure has ended, and whether a request is closed or has failed (R14, R19 to R24, R32, R35, R40)."""

import datetime
import re
from collections.abc import Collection, Iterable, Sequence

from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import Procedure, WaitsFor
from scanner_mover.rules.series import Count

# R24: a clock that jumps fails nothing.
OVER_AGE_TWICE_SECONDS = 60.0
# R32: how long what the scanner reports must stay the same where no MPPS file will arrive.
NO_MPPS_OLD_STUDY_SECONDS = 900.0
NO_MPPS_NEW_STUDY_SECONDS = 14400.0

# (0040,0252), DICOM PS3.3 section C.4.14.
_ENDED = {"COMPLETED", "DISCONTINUED"}
IN_PROGRESS = "IN PROGRESS"
# (0040,0251), VR TM: DICOM PS3.5 section 6.2; an older form has colons.
_TIME = re.compile(r"[0-9:]{2,8}(?:\.[0-9]{1,6})?")


def step_has_ended(status: str | None, end_time: str | None, *, readable: bool = True) -> bool:
    """Whether one procedure step has ended, by its MPPS file (R21).

    Its status decides: COMPLETED or DISCONTINUED, also without an end time; IN PROGRESS has not, whatever the time.
    Without one of these an end time does. A file that cannot be read has not.
    """
    word = _normal(status)
    if not readable or word == IN_PROGRESS:
        return False
    return word in _ENDED or bool(end_time)


def shown_status(status: str | None) -> str:
    """STATUS as a log that everybody reads may show it: a word of the standard, for a file can hold anything."""
    word = _normal(status)
    return word if word in _ENDED or word == IN_PROGRESS else "status not known"


def shown_end(status: str | None, end_time: str | None) -> str:
    """What says that a step has ended, its END_TIME or its STATUS, as a log may show it."""
    if end_time and _TIME.fullmatch(end_time.strip()):
        return end_time.strip()
    return shown_status(status) if _normal(status) in _ENDED else "a time"


def _normal(status: str | None) -> str:
    return (status or "").strip().upper()


def procedure(steps_ended: Collection[bool]) -> Procedure:
    """The state of a procedure, by whether each of its MPPS files says that its step has ended (R19 to R21)."""
    if not steps_ended:
        return Procedure.UNKNOWN
    return Procedure.ENDED if all(steps_ended) else Procedure.IN_PROGRESS


def fingerprint(series: Iterable[tuple[str, int | None, str]]) -> str:
    """What must stay the same before a request is closed, as a text to compare: for each series its UID, the number of
    images expected, and the digest of its list where that decides (R22 a).
    """
    import hashlib

    text = "\n".join(f"{uid} {expected} {digest}" for uid, expected, digest in sorted(series, key=lambda one: one[0]))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def unchanged_since(now_reported: str, earlier_reported: str | None, earlier: Moment | None, now: Moment) -> Moment:
    """Since when the fingerprint of a study has been NOW_REPORTED (R22 a)."""
    if earlier is None or now.since(earlier) is None or now_reported != earlier_reported:
        return now
    return earlier


def quiet_left(since: Moment, now: Moment, quiet_seconds: float) -> float:
    """How many seconds of quiet are still missing, 0 when nothing changed for `quiet_seconds` (R22 a)."""
    return max(0.0, quiet_seconds - (now.since(since) or 0.0))


def no_mpps_seconds(
    option: float | None, mpps_expected: bool, study_date: str | None, today: datetime.date
) -> float | None:
    """How long a study without an MPPS file must stay unchanged to count as ended; None: it never does (R32).

    OPTION is `no_mpps_after_seconds`. Without it only a request that expects no MPPS has such a time: 900 s if
    STUDY_DATE (VR DA) is before yesterday, else 14,400 s. While the date was not asked for (None) the shorter one
    holds: then it is asked for.
    """
    if option is not None:
        return option
    if mpps_expected:
        return None
    if study_date is None or _is_before_yesterday(study_date, today):
        return NO_MPPS_OLD_STUDY_SECONDS
    return NO_MPPS_NEW_STUDY_SECONDS


def _is_before_yesterday(study_date: str, today: datetime.date) -> bool:
    try:
        date = datetime.datetime.strptime(study_date.replace(".", ""), "%Y%m%d").date()
    except ValueError:
        return False
    return date < today - datetime.timedelta(days=1)


def study_reports_more(
    series_reported: int | None, images_reported: int | None, series: int, images: Sequence[int | None]
) -> bool:
    """Whether the STUDY level reports more than all series together: the list of series was cut short (R35).

    SERIES_REPORTED and IMAGES_REPORTED are (0020,1206) and (0020,1208); IMAGES has the number of each series, None
    where there is none: then the numbers of images cannot be compared.
    """
    if series_reported is not None and series_reported > series:
        return True
    known = [number for number in images if number is not None]
    return images_reported is not None and len(known) == len(images) and images_reported > sum(known)


def waits_for(
    *, answered: bool, counts: Sequence[Count], wanted: int, state: Procedure, quiet: float, due: bool
) -> WaitsFor | None:
    """What a request waits for; None: it may be closed as finished (R14, R20 to R23).

    ANSWERED: the scanner's answer ended with Success and was understood. COUNTS are of the wanted series, also of
    those that vanished; WANTED counts those that the scanner has now. QUIET is how many seconds of quiet are missing.
    DUE: a series is to be asked for now.
    """
    if not answered:
        return WaitsFor.SCANNER
    incomplete = [one for one in counts if not one.complete]
    # What vanished is waited for as for quiet, since nothing else can be done (R36).
    if any(one.given_up_in is None for one in incomplete):
        return WaitsFor.RETRIEVE if due else WaitsFor.IMAGES
    if not wanted:
        return WaitsFor.SCANNER
    # A console that is re-indexing lists every series without an image (R14, R37).
    if not any(one.received for one in counts):
        return WaitsFor.IMAGES
    if state is Procedure.UNKNOWN:
        return WaitsFor.MPPS
    if state is Procedure.IN_PROGRESS:
        return WaitsFor.PROCEDURE
    return WaitsFor.QUIET if quiet > 0 or incomplete else None


def keeps_nothing(*, answered: bool, series: int, wanted: int, state: Procedure, quiet: float) -> bool:
    """Whether no series of a study is of a modality that the site keeps, and none will be added (R40).

    SERIES counts those that the scanner has, WANTED those of them that are kept; QUIET is as for `waits_for`.
    """
    return answered and series > 0 and not wanted and state is Procedure.ENDED and quiet <= 0


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
