"""What is wrong in a pass: kept as it is until the line is printed, and compared with what was already reported.

A plain module: a pass with nothing to do can have a fault too, such as a log that cannot be written.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus, ScannerMoverError, UnusableError
from scanner_mover.failures import NO_CONNECTION, Failure, Kind, Service

if TYPE_CHECKING:  # the rules cost time, and a pass with nothing to do needs none
    from scanner_mover.rules.reporting import Stuck

# What concerns every association with the scanner; the others are about one service (C-FIND, C-MOVE).
_OF_ASSOCIATION = NO_CONNECTION | {Kind.BUSY, Kind.REJECTED, Kind.INSECURE, Kind.UNSUPPORTED}
SCANNER = "scanner"
#: That images were set aside; it holds while a series lacks images.
SET_ASIDE = "set aside"
FIND = f"{SCANNER} {Service.FIND.value}"
MOVE = f"{SCANNER} {Service.MOVE.value}"
# Groups that begin so are about one study, which follows.
_OF_STUDY = ("stuck ", "cut-short ", "no-study ")
# The folders that each pass makes anew: their names do not make another fault of the same one.
_OF_THIS_PASS = r"(?<=\.)(work|staging)\.[0-9A-Za-z_]+(?:/[^\s:;,]*)?"
# How many new faults of one pass get a line of their own.
_MOST_LINES = 5


class Message(NamedTuple):
    """A fault that is said in our own words; KEY says what it is, TEXT what to do.

    `of_scanner`: only an answer of the scanner can end it.
    """

    key: str
    text: str
    exit_status: ExitStatus = ExitStatus.SCANNER
    of_scanner: bool = True


class Reported(NamedTuple):
    """A fault that was reported: what it is, the text then, and since when it holds, in seconds of the epoch.

    Faults of one `group` follow each other: the console is off, then it rejects us. `of_scanner` as in `Message`.
    """

    group: str
    content: str
    text: str
    since: float
    of_scanner: bool


class Fault(NamedTuple):
    """One thing that is wrong, by its cause."""

    cause: Any
    group: str
    content: str
    exit_status: ExitStatus
    of_scanner: bool


def fault(cause: "Failure | ScannerMoverError | Stuck | Message") -> Fault:
    """CAUSE as a fault of this pass."""
    if isinstance(cause, Failure):
        service, level, title, refused = cause.detail
        group = SCANNER if service is None or cause.kind in _OF_ASSOCIATION else f"{SCANNER} {service.value}"
        names = (one.value for one in (level, title) if one is not None and cause.kind not in NO_CONNECTION)
        return Fault(cause, group, " ".join((cause.kind.name, *names, *refused)), ExitStatus.SCANNER, True)
    if isinstance(cause, Message):
        return Fault(cause, cause.key, cause.key, cause.exit_status, cause.of_scanner)
    if isinstance(cause, ScannerMoverError):
        key = re.sub(_OF_THIS_PASS, r"\1.*", str(cause))
        return Fault(cause, key, key, cause.exit_status, False)
    series = stuck_group(cause.study_instance_uid, cause.series_instance_uid)
    return Fault(cause, series, f"{cause.received} of {cause.expected}", ExitStatus.SCANNER, True)


def stuck_group(study_instance_uid: str, series_instance_uid: str) -> str:
    """The group of the faults that tell of a series that is stuck."""
    return f"stuck {study_instance_uid} {series_instance_uid}"


def unusable(text: str) -> Fault:
    """That a tool, a folder or a disk cannot be used."""
    return fault(UnusableError(text))


def text(one: Fault, settings: Settings | None) -> str:
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
    port = f"port {settings.receive_port}" if settings.receive else "the port of the program that receives"
    return stuck_text(cause, settings.calling_ae_title, port)


class Change(NamedTuple):
    """A line that somebody must hear, and whether it tells of an end."""

    text: str
    ended: bool


def compare(
    faults: Iterable[Fault],
    reported: Sequence[Reported],
    *,
    settings: Settings | None,
    now: float,
    untested: Collection[str] = (),
    all_untested: bool = False,
    scanner_untested: bool = False,
    requested: Collection[str] | None = None,
    failed: Collection[str] = (),
) -> tuple[list[Reported], list[Change]]:
    """What is reported from now on, and the lines for what began, changed or ended.

    Groups that are UNTESTED were not tested by this pass: what was reported of them still holds. ALL_UNTESTED: the pass
    was cut short; SCANNER_UNTESTED: it asked the scanner nothing. What concerns a study that is not REQUESTED any more,
    or that has FAILED, ends without a word, since nothing is well with it (R38). NOW is in seconds of the epoch.
    """
    known = {(one.group, one.content): one for one in reported}
    since: dict[str, float] = {}
    for one in reported:
        since[one.group] = min(one.since, since.get(one.group, one.since))
    current: dict[tuple[str, str], Reported] = {}
    changes = []
    for new in faults:
        key = new.group, new.content
        if key in current:
            continue
        if key in known:
            current[key] = known[key]
            continue
        line = text(new, settings)
        current[key] = Reported(new.group, new.content, line, since.get(new.group, now), new.of_scanner)
        changes.append(Change(line, ended=False))
    groups = {group for group, _ in current}
    ended: dict[str, Reported] = {}
    for old in reported:
        if old.group in groups:
            continue
        if all_untested or old.group in untested or (scanner_untested and old.of_scanner):
            current[old.group, old.content] = old
        elif not _is_over(old, requested, failed):
            ended.setdefault(old.group, old)
    if len(changes) > _MOST_LINES:
        more = len(changes) - _MOST_LINES
        changes[_MOST_LINES:] = [Change(f"and {more} more: see `scanner-mover status` and the log", ended=False)]
    nothing_requested = requested is not None and not requested
    for group, old in ended.items():
        after = f"recovered after {duration(now - since[group])}"
        if old.of_scanner and nothing_requested:
            after = "not tested any more, nothing is requested"
        changes.append(Change(f"{after}: {_short(old.text)}", ended=True))
    return list(current.values()), changes


def _is_over(old: Reported, requested: Collection[str] | None, failed: Collection[str]) -> bool:
    """Whether OLD concerns a study that nobody waits for any more: not that it has recovered."""
    study = old.group.split(" ")[1] if old.group.startswith(_OF_STUDY) else None
    return study is not None and (study in failed or (requested is not None and study not in requested))


def _short(line: str) -> str:
    """What is wrong, without the advice that follows it."""
    return line.partition("; ")[0].partition("): ")[0].partition(": is ")[0] + (")" if "): " in line else "")


def duration(seconds: float) -> str:
    """SECONDS in words: `42 s`, `5 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole >= 86400:
        return f"{whole // 86400} d {whole // 3600 % 24} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole // 60 % 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def from_json(value: Any) -> list[Reported]:
    """What a state file says was reported; entries that are damaged are left out."""
    found = []
    for one in value if isinstance(value, list) else []:
        if not isinstance(one, Mapping):
            continue
        group, content, line, since = (one.get(name) for name in ("group", "content", "text", "since"))
        if not isinstance(group, str) or not isinstance(content, str) or not isinstance(line, str):
            continue
        if isinstance(since, int | float) and 0 <= since < 1e12:
            found.append(Reported(group, content, line, float(since), one.get("of_scanner") is True))
    return found


def to_json(reported: Iterable[Reported]) -> list[dict[str, Any]]:
    """As in the state file."""
    return [one._asdict() for one in reported]
