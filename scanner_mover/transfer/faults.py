"""What is wrong in a pass: kept as it is until the line is printed, and compared with what was already reported.

What is reported is compared by what it is, not by its text: a text may hold numbers or another program's words, which
change from pass to pass while the fault is the same. A plain module: a pass with nothing to do can have a fault too,
such as a log that cannot be written.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus, ScannerMoverError, UnusableError
from scanner_mover.failures import NO_CONNECTION, Failure, Kind, Service

if TYPE_CHECKING:  # the rules cost time, and a pass with nothing to do needs none
    from scanner_mover.rules.reporting import Stuck

# What concerns every association with the scanner; the others are about one service (C-FIND, C-MOVE).
_OF_ASSOCIATION = NO_CONNECTION | {Kind.BUSY, Kind.REJECTED, Kind.INSECURE, Kind.UNSUPPORTED}
# What ends an association whatever was asked in it.
_BREAKS_OFF = {Kind.INTERRUPTED, Kind.STALLED, Kind.ENDLESS}
SCANNER = "scanner"
FIND = f"{SCANNER} {Service.FIND.value}"
MOVE = f"{SCANNER} {Service.MOVE.value}"
#: That images were set aside; it holds while a series lacks images.
SET_ASIDE = "set aside"
# Groups of which several faults can hold at once: of one series this one, of another series that one.
_SEVERAL = {FIND, MOVE}
# Groups that begin so are about one study, which follows.
_STUCK, _CUT_SHORT, _NO_STUDY = "stuck ", "cut-short ", "no-study "
_OF_STUDY = (_STUCK, _CUT_SHORT, _NO_STUDY)
# How many faults that begin in one pass get a line of their own, and how many that end.
_MOST_LINES = 5
# More than this are never worth keeping.
_MOST_REPORTED = 1000
# The folders that each pass makes anew: their names do not make another fault of the same one.
_OF_THIS_PASS = r"(?<=\.)(work|staging)\.[0-9A-Za-z_]+(?:/[^\s:;,]*)?"


class Message(NamedTuple):
    """A fault that is said in our own words; KEY says what it is, TEXT what to do.

    `of_scanner`: only an answer of the scanner can end it.
    """

    key: str
    text: str
    exit_status: ExitStatus = ExitStatus.SCANNER
    of_scanner: bool = True


Cause: TypeAlias = "Failure | ScannerMoverError | Message | Stuck"


class Fault(NamedTuple):
    """One thing that is wrong, by its cause. Faults of one `group` follow each other: the console is off, then it
    rejects us; `content` says which of them it is.
    """

    cause: "Cause"
    group: str
    content: str
    exit_status: ExitStatus
    of_scanner: bool


class Reported(NamedTuple):
    """A fault that was reported: what it is, its line then, and since when it holds, in seconds of the epoch."""

    group: str
    content: str
    text: str
    since: float
    of_scanner: bool


class Change(NamedTuple):
    """A line that somebody must hear, and whether it tells of an end."""

    text: str
    ended: bool


class Scope(NamedTuple):
    """What a pass could test; of all else what was reported still holds.

    `untested` are groups of faults that it could not test, `dropped` those that nobody will meet any more although
    nothing is well: they end without a word. `nothing`: it was cut short, or looked at some studies only. `no_scanner`:
    it asked the scanner nothing. `requested` are the studies that are requested now (None: not known),
    `failed` those that failed or were closed incomplete: what was wrong with a study that is no longer requested, or
    that failed, ends without a word, since nothing is well with it (R38).
    """

    untested: Collection[str] = ()
    dropped: Collection[str] = ()
    nothing: bool = False
    no_scanner: bool = False
    requested: Collection[str] | None = None
    failed: Collection[str] = ()


def fault(cause: "Cause") -> Fault:
    """CAUSE as a fault of this pass."""
    if isinstance(cause, Failure):
        return Fault(cause, _group_of(cause), _content_of(cause), ExitStatus.SCANNER, True)
    if isinstance(cause, Message):
        return Fault(cause, cause.key, cause.key, cause.exit_status, cause.of_scanner)
    if isinstance(cause, ScannerMoverError):
        key = re.sub(_OF_THIS_PASS, r"\1.*", str(cause))
        return Fault(cause, key, key, cause.exit_status, False)
    group = stuck_group(cause.study_instance_uid, cause.series_instance_uid)
    # Not by what is expected: while a series grows, each pass would tell it anew.
    return Fault(cause, group, str(cause.received), ExitStatus.SCANNER, True)


def _group_of(failure: Failure) -> str:
    service = failure.detail.service
    return SCANNER if service is None or failure.kind in _OF_ASSOCIATION else f"{SCANNER} {service.value}"


def _content_of(failure: Failure) -> str:
    """What FAILURE is. At which level a C-MOVE fails changes from one attempt to the next (R30), and says nothing; nor
    does the level at which an association breaks off, nor the classes that are named, of one series these, of another
    those.
    """
    service, level, title, _ = failure.detail
    if failure.kind in NO_CONNECTION:
        return failure.kind.name
    says_nothing = service is Service.MOVE or failure.kind in _BREAKS_OFF
    names = (None if says_nothing else level, title)
    return " ".join((failure.kind.name, *(one.value for one in names if one is not None)))


def stuck_group(study_instance_uid: str, series_instance_uid: str) -> str:
    """The group of the fault that a series is stuck (R31)."""
    return f"{_STUCK}{study_instance_uid} {series_instance_uid}"


def cut_short(study_instance_uid: str, text: str) -> Message:
    """That the scanner does not list all series of a study (R35)."""
    return Message(cut_short_group(study_instance_uid), text)


def cut_short_group(study_instance_uid: str) -> str:
    """The group of that fault."""
    return f"{_CUT_SHORT}{study_instance_uid}"


def no_study(study_instance_uid: str) -> Message:
    """That the scanner does not have a study that was named on the command line."""
    text = f"the scanner does not have study {study_instance_uid}: is the UID right?"
    return Message(f"{_NO_STUDY}{study_instance_uid}", text)


def unusable(text: str) -> Fault:
    """That a tool, a folder or a disk cannot be used."""
    return fault(UnusableError(text))


def line_of(one: Fault, settings: Settings | None) -> str:
    """The line for a fault: what is wrong and what to do."""
    cause = one.cause
    if isinstance(cause, Failure):
        from scanner_mover.scanner.advice import advice

        assert settings is not None  # without them no scanner is asked
        return advice(cause, settings)
    if isinstance(cause, Message):
        return cause.text
    if isinstance(cause, ScannerMoverError):
        return str(cause)
    from scanner_mover.rules.reporting import stuck_text

    assert settings is not None
    return stuck_text(cause, settings.calling_ae_title, settings.receive_port if settings.receive else None)


def compare(
    faults: Iterable[Fault], reported: Sequence[Reported], scope: Scope, settings: Settings | None, now: float
) -> tuple[list[Reported], list[Change]]:
    """What is reported from now on, and the lines for what began, changed or ended.

    FAULTS are those of this pass, REPORTED what was reported before; NOW is in seconds of the epoch.
    """
    since: dict[str, float] = {}
    for one in reported:
        since[one.group] = min(one.since, since.get(one.group, one.since))
    current, changes = _now(faults, reported, since, settings, now)
    groups = {group for group, _ in current}
    ended: dict[str, Reported] = {}
    for old in reported:
        if (old.group, old.content) in current or (old.group in groups and old.group not in _SEVERAL):
            continue
        if _holds(old, scope):
            current[old.group, old.content] = old
        elif old.group not in groups and not _is_over(old, scope):
            ended.setdefault(old.group, old)
    changes += [_end_of(old, now - since[group], scope) for group, old in ended.items()]
    return list(current.values())[:_MOST_REPORTED], changes


def _now(
    faults: Iterable[Fault],
    reported: Iterable[Reported],
    since: Mapping[str, float],
    settings: Settings | None,
    now: float,
) -> tuple[dict[tuple[str, str], Reported], list[Change]]:
    """The FAULTS of this pass by what they are, and the lines for those that were not reported before.

    SINCE says since when each group holds.
    """
    known = {(one.group, one.content): one for one in reported}
    current: dict[tuple[str, str], Reported] = {}
    changes = []
    for new in faults:
        key = new.group, new.content
        if key not in known:
            text = line_of(new, settings)
            known[key] = Reported(*key, text, since.get(new.group, now), new.of_scanner)
            if Change(text, ended=False) not in changes:
                changes.append(Change(text, ended=False))
        current[key] = known[key]
    return current, changes


def _holds(old: Reported, scope: Scope) -> bool:
    """Whether a pass could not test OLD, so that it still holds."""
    return scope.nothing or old.group in scope.untested or (scope.no_scanner and old.of_scanner)


def _is_over(old: Reported, scope: Scope) -> bool:
    """Whether OLD ends without a word: nobody waits for its study any more, or it was about one call only."""
    if old.group in scope.dropped:
        return True
    if not old.group.startswith(_OF_STUDY):
        return False
    study = old.group.split(" ")[1]
    not_requested = scope.requested is not None and study not in scope.requested
    return not_requested or study in scope.failed or old.group.startswith(_NO_STUDY)


def _end_of(old: Reported, seconds: float, scope: Scope) -> Change:
    """The line that OLD, which has lasted SECONDS, is over."""
    after = f"recovered after {duration(seconds)}"
    if old.of_scanner and scope.requested is not None and not scope.requested:
        after = "not tested any more, nothing is requested"
    return Change(f"{after}: {_without_advice(old.text)}", ended=True)


def _without_advice(line: str) -> str:
    """What is wrong, without the advice that follows it."""
    for mark, kept in (("): ", ")"), ("; ", ""), (": is ", "")):
        what, found, _ = line.partition(mark)
        line = what + kept if found else line
    return line


def shortened(changes: Sequence[Change]) -> list[Change]:
    """CHANGES for people: of many that begin or end at once the first, and how many more there are."""
    short = []
    for ended, word in ((False, "more"), (True, "more have recovered")):
        some = [one for one in changes if one.ended is ended]
        short += some[:_MOST_LINES]
        if len(some) > _MOST_LINES:
            text = f"and {len(some) - _MOST_LINES} {word}: see `scanner-mover status` and the log"
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
    for one in value if isinstance(value, list) else []:
        if not isinstance(one, Mapping):
            continue
        group, content, text, since = (one.get(name) for name in ("group", "content", "text", "since"))
        if not isinstance(group, str) or not isinstance(content, str) or not isinstance(text, str):
            continue
        if isinstance(since, int | float) and 0 <= since < 1e12:
            found.append(Reported(group, content, text, float(since), one.get("of_scanner") is True))
    return found


def to_json(reported: Iterable[Reported]) -> list[dict[str, object]]:
    """As in the state file."""
    return [one._asdict() for one in reported]
