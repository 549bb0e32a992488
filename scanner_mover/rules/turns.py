"""In which order requests and their series are handled, and when a study lets others go first (R25)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from scanner_mover.rules.records import SeriesMemory, StudyMemory

# A study with a thousand series does not keep the others waiting for hours.
TURN_SECONDS = 600.0

T = TypeVar("T")


def in_order_of_turn(requests: Sequence[T], uid_of: Callable[[T], str], memory: Mapping[str, StudyMemory]) -> list[T]:
    """REQUESTS, oldest first as given, but those whose attempt failed last, the longest ago first.

    A failing study does not keep the others waiting, and no failing one another.
    """

    def failed_at(request: T) -> float:
        known = memory.get(uid_of(request))
        return (known.failed_at or 0.0) if known is not None else 0.0

    return sorted(requests, key=failed_at)


def errors_last(uids: Iterable[str], memory: Mapping[str, StudyMemory] | Mapping[str, SeriesMemory]) -> list[str]:
    """Studies or series by their UIDs, in their order, but those of which an error is remembered at the end.

    One that fails does not keep the others from being asked about, or for.
    """
    return sorted(uids, key=lambda uid: uid in memory and memory[uid].error is not None)


def has_had_its_turn(seconds: float, others: int) -> bool:
    """Whether a study that is retrieved for SECONDS lets the OTHERS that wait go first (R25)."""
    return others > 0 and seconds >= TURN_SECONDS
