"""When an incomplete series is asked for, and how (R18, R29, R30).

The waits of R29, after n attempts in a row that brought nothing:

    n         next attempt
    --------  ---------------------------------------------------------------------------------------------
    0         the next pass, or `repull_after_seconds` after one that ended with Success (R18)
    1         the same
    2 and up  max(60, `repull_after_seconds`) × 2^(n-2) seconds later, at most `repull_at_most_seconds`

Something new here resets n. Another number or list from the scanner allows one attempt at once.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from scanner_mover.failures import Failure, Kind
from scanner_mover.moment import Moment
from scanner_mover.rules.records import Attempt, Listing, SeriesMemory, Silence
from scanner_mover.rules.series import are_named_by_uid

# R29: after this many series in a row that brought nothing at all, the scanner as a whole is failing.
SILENT_SERIES = 3
# R29: after this many attempts in a row that brought nothing, the pauses are long.
LONG_PAUSE_AFTER = 2
# After this many stalls in a row the scanner is asked for nothing more in this pass.
MOST_STALLS = 2
STALLS = {Kind.STALLED, Kind.ENDLESS}

_SHORTEST_LONG_PAUSE_SECONDS = 60.0

_AGAIN_IN_THIS_PASS = {
    Kind.UNREACHABLE,
    Kind.HUNG_UP,
    Kind.BUSY,
    Kind.INTERRUPTED,
    Kind.KILLED,
    Kind.OUT_OF_RESOURCES,
}
_NOTHING_ELSE_IN_THIS_PASS = {
    Kind.UNREACHABLE,
    Kind.HUNG_UP,
    Kind.REJECTED,
    Kind.INSECURE,
    Kind.UNSUPPORTED,
    Kind.UNKNOWN_DESTINATION,
}


@dataclass(frozen=True)
class Pauses:
    """The options that say how long to wait, in seconds."""

    repull_after: float = 120.0
    repull_at_most: float = 3600.0


class How(enum.Enum):
    """How a series is asked for (R30)."""

    WHOLE = "the whole series"
    BY_NAME = "the images that are missing"


class NotNow(enum.Enum):
    """Why a series is not asked for in this pass."""

    ON_THEIR_WAY = "its images may still be on their way"
    PAUSE = "attempts brought nothing"
    SCANNER_FAILING = "the scanner sends nothing at all"


def pause_seconds(fruitless: int, pauses: Pauses, *, succeeded: bool) -> float:
    """How long to wait after an attempt, when FRUITLESS in a row brought nothing (R29)."""
    if fruitless < LONG_PAUSE_AFTER:
        return pauses.repull_after if succeeded else 0.0
    longest = max(pauses.repull_at_most, pauses.repull_after)
    shortest = max(_SHORTEST_LONG_PAUSE_SECONDS, pauses.repull_after)
    # 2^40 seconds are more than any limit.
    return min(longest, shortest * 2.0 ** min(fruitless - LONG_PAUSE_AFTER, 40))


def is_fruitless(memory: SeriesMemory, here: int) -> bool:
    """Whether the last attempt has brought nothing so far: nothing above what was ever HERE before it (R29)."""
    attempt = memory.attempt
    return attempt is not None and not attempt.judged and max(memory.largest, here) <= attempt.before


def due_in(memory: SeriesMemory, here: int, now: Moment, pauses: Pauses) -> float:
    """Seconds until the next attempt, 0 when it may be made now; not counting whether images still arrive."""
    attempt = memory.attempt
    if attempt is None:
        return 0.0
    elapsed = now.since(attempt.at)
    if elapsed is None:  # the machine was started anew: what was on its way is here or lost
        return 0.0
    fruitless = memory.fruitless + is_fruitless(memory, here)
    return max(0.0, pause_seconds(fruitless, pauses, succeeded=attempt.succeeded) - elapsed)


def judge(memory: SeriesMemory, here: int, now: Moment, pauses: Pauses, *, next_is_made: bool = False) -> SeriesMemory:
    """MEMORY with the last attempt judged (R29): fruitful as soon as something new is HERE, else when the next is due.

    NEXT_IS_MADE: the next one is made now, before it is due: by hand, or since the scanner reports something else.
    """
    largest = max(memory.largest, here)
    attempt = memory.attempt
    if attempt is None:
        return memory._replace(largest=largest)
    if largest > attempt.before:
        helped = memory.names_helped or attempt.by_name
        judged = attempt._replace(judged=True, before=largest)
        return memory._replace(largest=largest, attempt=judged, fruitless=0, names_fruitless=0, names_helped=helped)
    if attempt.judged or (due_in(memory, here, now, pauses) > 0 and not next_is_made):
        return memory._replace(largest=largest)
    return memory._replace(
        largest=largest,
        attempt=attempt._replace(judged=True),
        fruitless=memory.fruitless + 1,
        names_fruitless=memory.names_fruitless + attempt.by_name,
    )


def why_not_now(
    memory: SeriesMemory, here: int, basis: str, now: Moment, pauses: Pauses, *, by_hand: bool
) -> NotNow | None:
    """Why an incomplete series is not asked for now; None when it is.

    BASIS stands for what the scanner reports of it now: another one allows one attempt at once, and not one after the
    other while a series grows of which nothing arrives. BY_HAND: `move --study`, which does not wait (R29).
    """
    attempt = memory.attempt
    if attempt is None:
        return None
    elapsed = now.since(attempt.at)
    grows = here > memory.received
    if attempt.succeeded and grows and elapsed is not None:
        return NotNow.ON_THEIR_WAY
    if by_hand or (basis != attempt.basis and not (attempt.early and memory.fruitless)):
        return None
    if due_in(memory, here, now, pauses) <= 0:
        return None
    return NotNow.ON_THEIR_WAY if memory.fruitless < LONG_PAUSE_AFTER and attempt.succeeded else NotNow.PAUSE


def needs_list(memory: SeriesMemory, names: Collection[str], *, by_hand: bool) -> bool:
    """Whether the series is listed by name before it is asked for: always but for the first time (R30)."""
    return how(memory, names, None, by_hand=by_hand) is How.BY_NAME


def how(memory: SeriesMemory, names: Collection[str], listed: Listing | None, *, by_hand: bool) -> How:
    """How to ask for an incomplete series of which images NAMES are here (R30).

    LISTED is what its list says now, None while it was not asked. What is here is not asked for again where the
    scanner sends single images. The whole series is asked for the first time, when files are not named by UIDs, when
    the scanner refuses single images or gives no list, and when two attempts by name brought nothing: then only if
    nothing of it is here, so that no image is sent twice, or by hand.
    """
    if names and not are_named_by_uid(names):
        return How.WHOLE
    if memory.attempt is None and not names:
        return How.WHOLE
    if memory.names_refused:
        return How.WHOLE
    if memory.names_fruitless >= 2 and not memory.names_helped and (by_hand or not names):
        return How.WHOLE
    if listed is not None and not listed.missing and not (listed.succeeded and listed.listed):
        return How.WHOLE
    return How.BY_NAME


def after_attempt(
    memory: SeriesMemory,
    *,
    at: Moment,
    by_name: bool,
    basis: str,
    before: int,
    failure: Failure | None,
) -> SeriesMemory:
    """MEMORY after an attempt that was sent and not ended by a signal; BEFORE is the largest number of
    images that were ever here before it."""
    refused = by_name and failure is not None and failure.kind is Kind.REFUSED
    early = memory.attempt is not None and memory.fruitless > 0 and memory.attempt.basis != basis
    return memory._replace(
        attempt=Attempt(
            at,
            failure is None,
            by_name,
            before,
            basis,
            early=early,
            error=failure.text if failure is not None else None,
            refused=failure.detail.refused if failure is not None else (),
        ),
        names_refused=memory.names_refused or refused,
        retrieved=True,
        error=failure.text if failure is not None else None,
    )


def after_loss(memory: SeriesMemory, here: int, basis: str, now: Moment) -> SeriesMemory:
    """MEMORY of a series whose memory was lost: as after a C-MOVE that has just ended with Success (R29).

    So the scanner is asked less, not more: nobody knows what it was asked for a moment ago.
    """
    attempt = Attempt(now, succeeded=True, by_name=False, before=here, basis=basis, judged=True)
    return memory._replace(attempt=attempt, largest=max(memory.largest, here))


def basis(counted: int | None, listed: Listing | None) -> str:
    """What the scanner reports of a series, as a text to compare: its number and its list."""
    return f"{counted}:{listed.digest if listed is not None else ''}"


def silence_after(silence: Silence | None, attempts: Iterable[SeriesMemory], boot: str) -> Silence | None:
    """Whether the scanner as a whole sends nothing, by the ATTEMPTS of all series (R29); BOOT is that of this moment.

    It does if the last three series that were asked for brought nothing, whatever status their C-MOVEs had. A series
    whose images may still arrive does not count yet. Neither does one that got nothing while the scanner sent others.
    Once there is a SILENCE, it holds until an image arrives, also when the requests are gone.
    """
    turns = sorted(
        (one.attempt.at.turn(boot), one.attempt.at, one.largest)
        for one in attempts
        if one.attempt is not None and not one.alone and (one.fruitless or one.largest)
    )
    last = turns[-SILENT_SERIES:]
    if not last or (silence is not None and last[-1][0] <= silence.last.turn(boot)):
        return silence
    if any(largest for _, _, largest in last) or (silence is None and len(last) < SILENT_SERIES):
        return None
    return Silence(2 if silence is None else silence.fruitless + 1, last[-1][1])


def after_others_came(memory: SeriesMemory) -> SeriesMemory:
    """MEMORY after images of other series arrived: if none of this one ever did, it says nothing of the scanner."""
    return memory if memory.largest else memory._replace(alone=True)


def silence_pause(silence: Silence | None, now: Moment, pauses: Pauses) -> float:
    """Seconds until a scanner that sends nothing at all is asked for one more series; 0: now (R29)."""
    if silence is None:
        return 0.0
    elapsed = now.since(silence.last)
    return 0.0 if elapsed is None else max(0.0, pause_seconds(silence.fruitless, pauses, succeeded=True) - elapsed)


def is_worth_another_try(failure: Failure | None) -> bool:
    """Whether FAILURE may be gone in a moment."""
    return failure is not None and failure.kind in _AGAIN_IN_THIS_PASS


def ends_the_pass(failure: Failure) -> bool:
    """Whether after FAILURE nothing else is worth sending in this pass."""
    return failure.kind in _NOTHING_ELSE_IN_THIS_PASS


@dataclass(frozen=True)
class PassLimits:
    """What the attempts of one pass have shown so far: tries that are left to each, stalls in a row, and the end."""

    retries: int
    stalls: int = 0
    ended_by: Failure | None = None


def limits_after(limits: PassLimits, failure: Failure | None, *, sent: bool) -> PassLimits:
    """LIMITS after one more attempt: a retry that did not help once is not made again in this pass.

    SENT: it came to a C-MOVE. One that did not has no pauses of its own (R29), so it counts as a stall does.
    """
    if failure is None:
        return replace(limits, stalls=0)
    stalls = limits.stalls + (failure.kind in STALLS or not sent)
    over = ends_the_pass(failure) or stalls >= MOST_STALLS
    retries = 0 if is_worth_another_try(failure) else limits.retries
    return PassLimits(retries, stalls, failure if over else None)
