"""What a request waits for in words, and which series are stuck (R31, R38)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scanner_mover.rules.outcomes import WaitsFor
from scanner_mover.rules.records import STUCK_ATTEMPTS, SeriesMemory
from scanner_mover.rules.series import Count
from scanner_mover.text import images_of

# R31: at most this many missing images are named.
_MOST_NAMED = 3
_MOST_STEPS = 2


@dataclass(frozen=True)
class Stuck:
    """A series of which nothing new arrives any more (R31).

    `error` is what its last C-MOVE ended with, or, where that `succeeded`, why what arrived was set aside. `refused`
    names the SOP classes or transfer syntaxes that were not taken, as far as a tool named them.
    """

    study_instance_uid: str
    series_instance_uid: str
    received: int
    expected: int | None
    first_missing: tuple[str, ...] = ()
    error: str | None = None
    refused: tuple[str, ...] = ()
    succeeded: bool = False


def nothing_arrives(own_title: str, receive_port: int | None) -> str:
    """What to look at when a scanner says Success and sends nothing (R29, R31).

    OWN_TITLE is our AE title. RECEIVE_PORT is the port on which we receive, None where another program does.
    """
    if receive_port is None:
        return (
            f"is {own_title} registered on it with this machine's address and the port of the program that receives? "
            "does the program that files images run, or are they in site/raw under another UID?"
        )
    return (
        f"is {own_title} registered on it with this machine's address and port {receive_port}? does a firewall let it "
        "through to that port?"
    )


def stuck_text(stuck: Stuck, own_title: str, receive_port: int | None) -> str:
    """The line for a series that is stuck: which one, what is missing, and what is likely (R31).

    OWN_TITLE is our AE title. RECEIVE_PORT is the port on which we receive, None where another program does.
    """
    what = (
        f"series {stuck.series_instance_uid} of study {stuck.study_instance_uid} is stuck at "
        f"{images_of(stuck.received, stuck.expected)}"
    )
    if stuck.first_missing:
        what += f", missing {', '.join(stuck.first_missing[:_MOST_NAMED])}"
        if len(stuck.first_missing) > _MOST_NAMED:
            what += " and others"
    if stuck.refused:
        return f"{what}: the receiver does not take {', '.join(stuck.refused)}; the scanner's log says more"
    if stuck.error is not None and stuck.succeeded:
        return f"{what}: {stuck.error}; the log says why each"
    if stuck.error is not None:
        return f"{what}: C-MOVE ends with {stuck.error}; the scanner's log says why"
    if stuck.received:
        takes = "does the program that files images take them" if receive_port is None else "are they in site/rejected"
        return f"{what}: C-MOVE says Success; {takes}? can the scanner read them?"
    return f"{what}: C-MOVE says Success but nothing arrives; {nothing_arrives(own_title, receive_port)}"


@dataclass(frozen=True)
class Waiting:
    """What a request waits for: the word of the contract, the sentence for people, and the next attempt.

    `seconds` is how long it takes until then, None where no time can be given. `why` says why images are missing, where
    that is known.
    """

    waits_for: WaitsFor
    text: str
    seconds: float | None = None
    why: str | None = None


#: What a request waits for while its images are asked for.
RETRIEVING = Waiting(WaitsFor.RETRIEVE, "retrieving")


def waiting(
    waits_for: WaitsFor,
    *,
    series: Sequence[tuple[Count, SeriesMemory]],
    due_in: float | None,
    quiet_left: float,
    open_steps: Sequence[str],
    error: str | None,
) -> Waiting:
    """What a request waits for; `status` adds the times.

    SERIES are the wanted ones. DUE_IN: seconds until the next C-MOVE or the next questions; QUIET_LEFT: seconds without
    a change that are missing; OPEN_STEPS: the MPPS files whose steps have not ended; ERROR: what failed in this pass.
    """
    match waits_for:
        case WaitsFor.SCANNER:
            return Waiting(waits_for, error or "the scanner has no series of it", due_in if error else None)
        case WaitsFor.RETRIEVE | WaitsFor.IMAGES:
            why = error or _why_nothing_arrives(series)
            if waits_for is WaitsFor.RETRIEVE and why is None:
                return RETRIEVING
            images = _images(series)
            return Waiting(waits_for, images if why is None else f"{images}, {why}", due_in, why)
        case WaitsFor.MPPS:
            return Waiting(waits_for, "no MPPS file", quiet_left if quiet_left > 0 else None)
        case WaitsFor.PROCEDURE:
            return Waiting(waits_for, " ".join((*_steps(open_steps), "still in progress")))
        case WaitsFor.QUIET:
            gone = [one for one, _ in series if not one.complete]
            if not gone:
                return Waiting(waits_for, "closes if nothing changes", quiet_left)
            text = f"closes incomplete if nothing changes, the scanner no longer has {_missing(gone)}"
            return Waiting(waits_for, text, max(quiet_left, *(one.given_up_in or 0.0 for one in gone)))
        case WaitsFor.NOTHING:
            return Waiting(waits_for, error or "")


def _why_nothing_arrives(series: Iterable[tuple[Count, SeriesMemory]]) -> str | None:
    """What the last C-MOVE of a stuck series ended with; None when none is stuck (R31)."""
    stuck = [memory.attempt for count, memory in series if memory.fruitless >= STUCK_ATTEMPTS and not count.complete]
    if not stuck:
        return None
    failed = next((one.error for one in stuck if one is not None and one.error is not None), None)
    return failed or "C-MOVE says Success but nothing arrives"


def _steps(names: Sequence[str]) -> list[str]:
    """The first of the open steps, by NAMES."""
    if not names:
        return []
    more = [f"and {len(names) - _MOST_STEPS} more"] if len(names) > _MOST_STEPS else []
    return ["step" if len(names) == 1 else "steps", ", ".join(names[:_MOST_STEPS]), *more]


def _images(series: Sequence[tuple[Count, SeriesMemory]]) -> str:
    """How many images the SERIES that are not complete lack, or which of them have none at the scanner (R37)."""
    incomplete = [(count, memory) for count, memory in series if not count.complete]
    if not incomplete:
        return f"the scanner lists no image of {len(series)} series"
    if all(_has_no_image(*one) for one in incomplete):
        return f"the scanner lists no image of {len(incomplete)} series"
    if any(count.expected is None for count, _ in incomplete):
        return f"{len(incomplete)} series incomplete"
    return f"{_missing([count for count, _ in incomplete])} missing"


def _has_no_image(count: Count, memory: SeriesMemory) -> bool:
    known = memory.listing
    return count.expected is None and known is not None and known.succeeded and not known.listed


def _missing(incomplete: Sequence[Count]) -> str:
    """How many images the INCOMPLETE series lack, of how many."""
    expected = sum(one.expected or 0 for one in incomplete)
    missing = sum(max((one.expected or 0) - one.received, one.missing) for one in incomplete)
    return images_of(missing, expected)


def failed_reason(waiting: Waiting, missing: Sequence[SeriesMemory]) -> str:
    """Why a request failed by its age: what the MISSING series lack and why, or what it was WAITING for (R38)."""
    if not missing:
        return waiting.text or "not finished in time"
    why = waiting.text if waiting.waits_for is WaitsFor.SCANNER else waiting.why
    received = sum(one.received for one in missing)
    known = [one.expected for one in missing if one.expected is not None]
    images = images_of(received, sum(known) if len(known) == len(missing) else None)
    text = f"{images} of {len(missing)} incomplete series arrived"
    return text if why is None else f"{text}; {why}"
