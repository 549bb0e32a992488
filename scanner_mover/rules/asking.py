"""When a list of images, or a question before closing, is asked again: long lists do not go over the network for a
request that waits (R44). And when a file that could not be read is tried again.
"""

from scanner_mover.moment import Moment
from scanner_mover.rules.records import Asked

_FIRST_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0


def pause_seconds(asked: Asked, *, counted: bool) -> float:
    """Seconds until a question may be asked again whose answer changed nothing, all else being the same.

    60 s, 120 s … 3600 s. Not COUNTED: the scanner gives no number of images, so only the list shows what is new; it is
    then asked for once a minute, as soon as it was the same twice.
    """
    if asked.repeats == 0:
        return 0.0 if not counted else _FIRST_SECONDS
    if not counted:
        return _FIRST_SECONDS
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(asked.repeats, 10))


def due_in(asked: Asked | None, basis: str, now: Moment, *, counted: bool) -> float:
    """Seconds until a question may be asked (again); 0 the first time, and after a change of what is reported or here.

    BASIS stands for what is reported and here now.
    """
    if asked is None or asked.basis != basis:
        return 0.0
    elapsed = now.since(asked.at)
    return 0.0 if elapsed is None else max(0.0, pause_seconds(asked, counted=counted) - elapsed)


def is_due(asked: Asked | None, basis: str, now: Moment, *, counted: bool) -> bool:
    """Whether a question may be asked (again) now."""
    return due_in(asked, basis, now, counted=counted) <= 0


def after_asking(asked: Asked | None, basis: str, now: Moment, *, changed: bool) -> Asked:
    """What is remembered after asking; CHANGED: the answer was another one than before."""
    same = asked is not None and asked.basis == basis and not changed
    return Asked(now, basis, asked.repeats + 1 if same and asked is not None else 0)


def pause_after_hangs(times: int) -> float:
    """Seconds until a file that dcmdump hung on TIMES times in a row is read again: 60, 120 … 3600.

    The disk, and not the file, may have been the reason: a procedure step must not count as in progress for ever.
    """
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(max(0, times - 1), 10))
