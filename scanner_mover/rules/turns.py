"""In which order requests and their series are handled, and when a study lets others go first (R25)."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from scanner_mover.rules.records import SeriesMemory, StudyMemory

# A study with a thousand series does not keep the others waiting for hours.
TURN_SECONDS = 600.0

T = TypeVar("T")


def in_order_of_turn(requests: Sequence[T], uid_of: Callable[[T], str], memory: Mapping[str, StudyMemory]) -> list[T]:
    """REQUESTS, oldest first as given, but those whose attempt failed last, the longest ago first.

    A failing study never delays another one.
    """

    def failed_at(request: T) -> float:
        known = memory.get(uid_of(request))
        return (known.failed_at or 0.0) if known is not None else 0.0

    return sorted(requests, key=failed_at)


def in_order_of_attempts(
    requests: Sequence[T],
    uid_of: Callable[[T], str],
    memory: Mapping[str, StudyMemory],
    new: Collection[str],
    boot: str,
) -> list[T]:
    """REQUESTS while the scanner sends nothing at all, when there is one attempt for each pause (R29).

    First are the studies that have something NEW, which was never asked for; then the one of which an incomplete series
    was asked for the longest ago, of several the one that was requested first. So none of them keeps the others from
    being tried: what is wrong may be about it alone. BOOT is that of this moment.
    """

    def turn(request: T) -> tuple[bool, tuple[bool, float]]:
        known = memory.get(uid_of(request)) or StudyMemory()
        asked = (one.attempt.at.turn(boot) for one in known.series.values() if one.attempt and not one.complete)
        return uid_of(request) not in new, min(asked, default=(True, math.inf))

    return sorted(requests, key=turn)


def errors_last(study_instance_uids: Iterable[str], memory: Mapping[str, StudyMemory]) -> list[str]:
    """Studies in their order, but those of which an error is remembered at the end.

    One that fails does not keep the others from being asked about.
    """
    return sorted(study_instance_uids, key=lambda uid: uid in memory and memory[uid].error is not None)


def series_in_order(series_instance_uids: Iterable[str], memory: Mapping[str, SeriesMemory], boot: str) -> list[str]:
    """Series in their order, but first those that were never asked for, then the one asked for the longest ago.

    Those of which an error is remembered are at the end. While the scanner sends nothing at all there is one attempt
    for each pause (R29): it must not go to the same series each time. BOOT is that of this moment.
    """

    never = False, -1.0

    def turn(uid: str) -> tuple[bool, tuple[bool, float]]:
        known = memory.get(uid)
        if known is None:
            return False, never
        return known.error is not None, never if known.attempt is None else known.attempt.at.turn(boot)

    return sorted(series_instance_uids, key=turn)


def has_one_never_asked_for(series_instance_uids: Iterable[str], memory: StudyMemory | None) -> bool:
    """Whether one of these series of a study was never asked for, and is not known to be complete."""
    known = {} if memory is None else memory.series
    new = (known.get(uid, SeriesMemory()) for uid in series_instance_uids)
    return any(one.attempt is None and not one.complete for one in new)


def has_had_its_turn(seconds: float, others: int) -> bool:
    """Whether a study that is retrieved for SECONDS lets the OTHERS that wait go first (R25)."""
    return others > 0 and seconds >= TURN_SECONDS
