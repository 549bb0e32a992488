"""When a list of images, or a question before closing, is asked again: long lists do not go over the network for a
request that waits (R44).
"""

from scanner_mover.moment import Moment
from scanner_mover.rules.records import Asked

_FIRST_SECONDS = 60.0
_LONGEST_SECONDS = 3600.0


def pause_seconds(asked: Asked, *, counted: bool) -> float:
    """How long a question that changed nothing is not asked again, all else being the same.

    60 s, 120 s … 3600 s. Not COUNTED: the scanner gives no number of images, so only the list tells what is new; it is
    then asked for once a minute, as soon as it was the same twice.
    """
    if asked.repeats == 0:
        return 0.0 if not counted else _FIRST_SECONDS
    if not counted:
        return _FIRST_SECONDS
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(asked.repeats, 10))


def is_due(asked: Asked | None, basis: str, now: Moment, *, counted: bool) -> bool:
    """Whether to ask (again): the first time, after a change of what is told or here (BASIS), or when it is time."""
    if asked is None or asked.basis != basis:
        return True
    elapsed = now.since(asked.at)
    return elapsed is None or elapsed >= pause_seconds(asked, counted=counted)


def after_asking(asked: Asked | None, basis: str, now: Moment, *, changed: bool) -> Asked:
    """What is remembered after asking; CHANGED: the answer was another one than before."""
    same = asked is not None and asked.basis == basis and not changed
    return Asked(now, basis, asked.repeats + 1 if same and asked is not None else 0)
