"""What a request waits for in words, which series are stuck, and which faults are new (R31, R38).

What is told is compared by what it is, not by its text: a text may hold numbers or another program's words, which
change from pass to pass while the fault is the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scanner_mover.rules.closing import WaitsFor
from scanner_mover.rules.records import SeriesMemory, StudyMemory
from scanner_mover.rules.series import Count

# R31: so many missing images are named.
_MOST_NAMED = 3


@dataclass(frozen=True)
class Stuck:
    """A series of which nothing new comes any more (R31); `error` is what its last C-MOVE ended with, None: Success."""

    study_instance_uid: str
    series_instance_uid: str
    received: int
    expected: int | None
    first_missing: tuple[str, ...] = ()
    error: str | None = None


def stuck_text(stuck: Stuck, own_title: str, port: str) -> str:
    """The line for a series that is stuck: which one, what is missing, and what is likely (R31).

    OWN_TITLE is our AE title, PORT says which port receives.
    """
    expected = "?" if stuck.expected is None else stuck.expected
    what = (
        f"series {stuck.series_instance_uid} of study {stuck.study_instance_uid} is stuck: "
        f"{stuck.received} of {expected} images are here and no more arrive"
    )
    if stuck.first_missing:
        what += f", missing {', '.join(stuck.first_missing[:_MOST_NAMED])}"
        if len(stuck.first_missing) > _MOST_NAMED:
            what += " and others"
    if stuck.error is not None:
        return f"{what}: C-MOVE ends with {stuck.error}; the scanner's log says why"
    if stuck.received:
        return f"{what}: C-MOVE says Success; does the program that files images take them? can the scanner read them?"
    return (
        f"{what}: C-MOVE says Success but nothing arrives; is {own_title} registered on the scanner with this "
        f"machine's address and {port}? does the program that files images run?"
    )


@dataclass(frozen=True)
class Waiting:
    """What a request waits for: the word of the contract, the sentence for people, and the next attempt.

    `seconds` is how long it takes until then; None where no time can be given.
    """

    waits_for: WaitsFor
    text: str
    seconds: float | None = None


def waiting(
    waits_for: WaitsFor,
    *,
    counts: Iterable[Count],
    due_in: float | None,
    quiet_left: float,
    open_steps: Sequence[str],
    error: str | None,
    stuck: bool,
) -> Waiting:
    """What a request waits for.

    DUE_IN: seconds until the next attempt of a series; QUIET_LEFT: seconds without a change that are missing;
    OPEN_STEPS: the MPPS files whose steps have not ended, with their status.
    """
    if waits_for is WaitsFor.SCANNER:
        return Waiting(waits_for, error or "the scanner has no series of it")
    if waits_for in (WaitsFor.RETRIEVE, WaitsFor.IMAGES):
        incomplete = [one for one in counts if not one.complete]
        text = _images(incomplete)
        if stuck:
            text += f", {error}" if error else ", C-MOVE says Success but nothing arrives"
        return Waiting(waits_for, text, due_in)
    if waits_for is WaitsFor.MPPS:
        return Waiting(waits_for, "no MPPS file", quiet_left if quiet_left > 0 else None)
    if waits_for is WaitsFor.PROCEDURE:
        steps = f"step {', '.join(open_steps[:2])} " if open_steps else ""
        return Waiting(waits_for, f"{steps}still in progress")
    if waits_for is WaitsFor.QUIET:
        return Waiting(waits_for, "closes if nothing changes", quiet_left)
    return Waiting(waits_for, error or "")


def _images(incomplete: Sequence[Count]) -> str:
    """How many images the INCOMPLETE series lack."""
    if any(one.expected is None for one in incomplete):
        return f"{len(incomplete)} series incomplete"
    expected = sum(one.expected or 0 for one in incomplete)
    missing = sum(max((one.expected or 0) - one.received, one.missing) for one in incomplete)
    return f"{missing} of {expected} images missing"


def failed_reason(waits_text: str, memory: StudyMemory, missing: Sequence[SeriesMemory]) -> str:
    """Why a request failed by its age: what is missing, or what was waited for (R38)."""
    if missing:
        received = sum(one.received for one in missing)
        expected = sum(one.expected or 0 for one in missing)
        return f"{received} of {expected} images of {_series(len(missing))} arrived; {waits_text}"
    return waits_text or memory.error or "not finished in time"


def _series(number: int) -> str:
    return "1 incomplete series" if number == 1 else f"{number} incomplete series"
