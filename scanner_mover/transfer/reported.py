"""Which faults were reported, and which lines a pass has to print for what began, changed or ended.

What is reported is compared by what it is, not by its text: a text may hold numbers or another program's words, which
change from pass to pass while the fault is the same. One that comes and goes is reported three times; then it holds
until it has stayed away for an hour. Imported when `faults` is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus
from scanner_mover.failures import Level
from scanner_mover.text import counted
from scanner_mover.transfer.faults import FIND, MOVE, Fault, is_of_one_call, line_of, study_of

# Groups in which several faults can hold at the same time, for example one for each series.
_SEVERAL = {FIND, MOVE}
# The group of a program of the site begins so; only that program ends it.
_HOOK = "hook "
# How many faults that begin in one pass get a line of their own, and how many that end.
_MOST_LINES = 5
# More than this are never worth keeping.
_MOST_REPORTED = 1000
# A fault that begins so often, each time so soon after its end, comes and goes.
_TIMES = 3
_ALL_TIMES = range(1, _TIMES + 1)
_AWAY_SECONDS = 3600.0
_COMES_AND_GOES = "; it comes and goes: the next line follows when it has stayed away for an hour"


class Reported(NamedTuple):
    """A fault that was reported: what it is, its line then, and since when it holds, in seconds of the epoch.

    `exit_status` is that of a pass that meets it. `times` is how often it has begun, each time within an hour of its
    end; `away_since`: it comes and goes, and since then no pass has met it.
    """

    group: str
    content: str
    text: str
    since: float
    needs_requests: bool
    needs_retrieve: bool = False
    exit_status: int = ExitStatus.OK
    times: int = 1
    away_since: float | None = None


class Past(NamedTuple):
    """A fault that is over: what it was, how often it had begun, and when it ended, in seconds of the epoch."""

    group: str
    content: str
    times: int
    ended_at: float


class Change(NamedTuple):
    """A line that somebody must read, and whether it reports an end."""

    text: str
    ended: bool


class Scope(NamedTuple):
    """What a pass could test; of all else what was reported still holds.

    `untested` are groups of faults that it could not test, `dropped` those (or a group and a level) that nobody
    will meet any more although they have not recovered: they end without a word. `nothing`: it was cut short, or
    looked at some studies only. `no_scanner`: it asked the scanner nothing. `no_retrieve`: it sent no C-MOVE.
    `missing`: images are missing that a C-MOVE could bring. `requested` are the studies that are requested now
    (None: not known), `finished` those that this pass closed, `failed` those that failed or were closed incomplete:
    what was wrong with a study that is no longer requested, or that failed, ends without a word: it has not
    recovered (R38).
    """

    untested: Collection[str] = ()
    dropped: Collection[str] = ()
    nothing: bool = False
    no_scanner: bool = False
    no_retrieve: bool = False
    missing: bool = False
    requested: Collection[str] | None = None
    failed: Collection[str] = ()
    finished: Collection[str] = ()


def compare(
    faults: Iterable[Fault],
    reported: Sequence[Reported],
    past: Iterable[Past],
    scope: Scope,
    settings: Settings | None,
    now: float,
) -> tuple[list[Reported], list[Past], list[Change]]:
    """What is reported from now on, what was and is over, and the lines for what began, changed or ended.

    FAULTS are those of this pass, REPORTED what was reported before and PAST what was and is over; NOW is in seconds of
    the epoch.
    """
    since: dict[str, float] = {}
    for one in reported:
        since[one.group] = min(one.since, since.get(one.group, one.since))
    recent = {(one.group, one.content): one for one in past if 0 <= now - one.ended_at < _AWAY_SECONDS}
    current, changes = _now(faults, reported, recent, since, settings, now)
    groups = {group for group, _ in current}
    ended: dict[str, Reported] = {}
    for old in reported:
        key = old.group, old.content
        is_replaced = old.group in groups and old.group not in _SEVERAL
        if key in current:
            continue
        if not is_replaced and _holds(old, scope, settings):
            current[key] = old
        elif not _is_over(old, scope):
            away_since = min(old.away_since or now, now)
            if old.times >= _TIMES and now - away_since < _AWAY_SECONDS:
                current[key] = old._replace(away_since=away_since)
                continue
            recent[key] = Past(*key, old.times, away_since)
            if old.group not in groups:
                ended.setdefault(old.group, old)
    changes += [_end_of(old, (old.away_since or now) - since[group], scope) for group, old in ended.items()]
    still_past = [one for key, one in recent.items() if key not in current]
    return list(current.values())[:_MOST_REPORTED], still_past[-_MOST_REPORTED:], changes


def _now(
    faults: Iterable[Fault],
    reported: Iterable[Reported],
    recent: Mapping[tuple[str, str], Past],
    since: Mapping[str, float],
    settings: Settings | None,
    now: float,
) -> tuple[dict[tuple[str, str], Reported], list[Change]]:
    """The FAULTS of this pass by what they are, and the lines for those that were not reported before.

    RECENT are those that ended within the last hour; SINCE says since when each group holds.
    """
    known = {(one.group, one.content): one._replace(away_since=None) for one in reported}
    current: dict[tuple[str, str], Reported] = {}
    changes = []
    for new in faults:
        key = new.group, new.content
        line = line_of(new, settings)
        if key not in known:
            times = recent[key].times + 1 if key in recent else 1
            began = since.get(new.group, now)
            known[key] = Reported(
                *key, line, began, new.needs_requests, new.needs_retrieve, exit_status=new.exit_status, times=times
            )
            text = _text(line, times)
            if Change(text, ended=False) not in changes:
                changes.append(Change(text, ended=False))
        # `status` shows the text of the last pass: the configuration may name another scanner now.
        current[key] = known[key]._replace(text=_text(line, known[key].times))
    return current, changes


def _text(line: str, times: int) -> str:
    """LINE, with the note that its fault comes and goes if it has begun that many TIMES."""
    return line + _COMES_AND_GOES if times >= _TIMES else line


def _holds(old: Reported, scope: Scope, settings: Settings | None) -> bool:
    """Whether a pass could not test OLD, so that it still holds; a program of the site is tested by an event only."""
    if old.group.startswith(_HOOK):
        return settings is None or getattr(settings, old.group.removeprefix(_HOOK), None) is not None
    if scope.nothing:
        return study_of(old.group) not in scope.finished
    if old.needs_retrieve and scope.no_retrieve and scope.missing:
        return True
    return old.group in scope.untested or (scope.no_scanner and old.needs_requests)


def _is_over(old: Reported, scope: Scope) -> bool:
    """Whether OLD ends without a word: nobody waits for its study any more, it was about one call only, or about a
    program that the configuration no longer names.
    """
    if old.group.startswith(_HOOK):
        return True
    words = old.content.split()
    groups = {old.group, *(f"{old.group} {level.value}" for level in Level if level.value in words)}
    if not groups.isdisjoint(scope.dropped):
        return True
    study = study_of(old.group)
    if study is None:
        return False
    not_requested = scope.requested is not None and study not in scope.requested
    return not_requested or study in scope.failed or is_of_one_call(old.group)


def _end_of(old: Reported, seconds: float, scope: Scope) -> Change:
    """The line that OLD, which has lasted SECONDS, is over."""
    after = f"recovered after {duration(seconds)}"
    if old.needs_requests and scope.requested is not None and not scope.requested:
        after = "not tested any more, nothing is requested"
    elif old.needs_retrieve and scope.no_retrieve:
        after = "not tested any more, nothing is missing"
    return Change(f"{after}: {_without_advice(old.text)}", ended=True)


def _without_advice(line: str) -> str:
    """What is wrong, without the advice that follows it."""
    for mark, kept in (("): ", ")"), ("; ", ""), (": is ", "")):
        what, found, _ = line.partition(mark)
        line = what + kept if found else line
    return line


def of_hooks(
    reported: Sequence[Reported], lost: Mapping[str, str], delivered: Collection[str], now: float
) -> tuple[list[Reported], list[Change]]:
    """REPORTED with the programs of the site that an event did not reach (LOST: options and why), and the lines for it.

    DELIVERED are the options whose programs took all events; NOW is in seconds of the epoch.
    """
    groups = {one.group for one in reported}
    over = {f"{_HOOK}{option}" for option in delivered}
    kept = [one for one in reported if one.group not in over]
    changes = [_end_of(one, now - one.since, Scope()) for one in reported if one.group in over]
    for option, why in lost.items():
        group = f"{_HOOK}{option}"
        if group not in groups:
            text = f"an event did not reach the program of {option}: {why.removeprefix(f'{option}: ')}"
            kept.append(Reported(group, group, text, now, needs_requests=False))
            changes.append(Change(text, ended=False))
    return kept, changes


def shortened(changes: Sequence[Change]) -> list[Change]:
    """CHANGES for people: of many that begin or end at once the first, and how many more there are."""
    short = []
    for ended in (False, True):
        some = [one for one in changes if one.ended is ended]
        short += some[:_MOST_LINES]
        left = len(some) - _MOST_LINES
        if left > 0:
            more = counted(left, "more has recovered", "more have recovered") if ended else f"{left} more"
            text = f"and {more}: see `scanner-mover status` and the log"
            short.append(Change(text, ended))
    return short


def duration(seconds: float) -> str:
    """SECONDS in words: `42 s`, `5 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole >= 86400:
        return f"{whole // 86400} d {whole // 3600 % 24} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole // 60 % 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def from_json(value: object) -> list[Reported]:
    """What a state file says was reported; entries that are damaged are left out."""
    found = []
    for one in _entries(value):
        text, since, away_since = one.get("text"), one.get("since"), one.get("away_since")
        if isinstance(text, str) and _is_time(since):
            needs = one.get("needs_requests") is True, one.get("needs_retrieve") is True
            status = _whole(one.get("exit_status"), range(256), ExitStatus.OK)
            times = _whole(one.get("times"), _ALL_TIMES, 1)
            away = float(away_since) if _is_time(away_since) else None
            found.append(Reported(one["group"], one["content"], text, float(since), *needs, status, times, away))
    return found


def past_from_json(value: object) -> list[Past]:
    """What a state file says was reported and is over; entries that are damaged are left out."""
    return [
        Past(one["group"], one["content"], _whole(one.get("times"), _ALL_TIMES, 1), float(ended_at))
        for one in _entries(value)
        if _is_time(ended_at := one.get("ended_at"))
    ]


def _entries(value: object) -> list[Mapping[str, Any]]:
    """Those of VALUE that say which fault they are about."""
    objects = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return [one for one in objects if isinstance(one.get("group"), str) and isinstance(one.get("content"), str)]


def to_json(some: Iterable[Reported | Past]) -> list[dict[str, object]]:
    """As in the state file."""
    return [one._asdict() for one in some]


def _is_time(value: object) -> TypeGuard[float]:
    """Whether VALUE is seconds of the epoch."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _whole(value: object, usual: range, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value in usual else otherwise
