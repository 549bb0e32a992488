"""What is wrong in a pass, kept as it is until the line is printed; `reported` compares it with what was reported.

Imported only by a pass that has a fault, or reported one.
"""

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from scanner_mover.config import Settings
from scanner_mover.errors import ExitStatus, ScannerMoverError, UnusableError
from scanner_mover.failures import NO_CONNECTION, Failure, Kind, Level, Service

if TYPE_CHECKING:  # the rules cost time, and a pass with nothing to do needs none
    from scanner_mover.rules.reporting import Stuck

# What concerns every association with the scanner; the others are about one service (C-FIND, C-MOVE).
_OF_ASSOCIATION = NO_CONNECTION | {Kind.BUSY, Kind.REJECTED, Kind.INSECURE, Kind.UNSUPPORTED}
# What ends an association whatever was asked in it.
_BREAKS_OFF = {Kind.INTERRUPTED, Kind.KILLED, Kind.STALLED, Kind.ENDLESS}
SCANNER = "scanner"
FIND = f"{SCANNER} {Service.FIND.value}"
MOVE = f"{SCANNER} {Service.MOVE.value}"
#: The faults of FIND that are about lists of images.
LISTS = f"{FIND} {Level.IMAGE.value}"
#: That images were set aside; it holds while a series lacks images.
SET_ASIDE = "set aside"
# Groups that begin so are about one study, which follows.
_STUCK, _CUT_SHORT, _NO_STUDY, _LOST_STEP = "stuck ", "cut-short ", "no-study ", "lost-step "
# The folders that each pass makes anew: their names do not make another fault of the same one.
_OF_THIS_PASS = r"(?<=\.)(work|staging)\.[0-9A-Za-z_]+(?:/[^\s:;,]*)?"


class Message(NamedTuple):
    """A fault that is said in our own words; KEY says what it is, TEXT what to do."""

    key: str
    text: str
    exit_status: ExitStatus = ExitStatus.SCANNER


Cause: TypeAlias = "Failure | ScannerMoverError | Message | Stuck"


class Fault(NamedTuple):
    """One thing that is wrong, by its cause. Faults of one `group` follow each other: the console is off, then it
    rejects us; `content` says which of them it is. `needs_requests`: only a pass that works on requests tests it,
    `needs_retrieve`: only one that sends a C-MOVE.
    """

    cause: "Cause"
    group: str
    content: str
    exit_status: ExitStatus
    needs_requests: bool
    needs_retrieve: bool = False


def fault(cause: "Cause") -> Fault:
    """CAUSE as a fault of this pass."""
    if isinstance(cause, Failure):
        group = _group_of(cause)
        return Fault(cause, group, _content_of(cause), ExitStatus.SCANNER, True, group == MOVE)
    if isinstance(cause, Message):
        return Fault(cause, cause.key, cause.key, cause.exit_status, True, cause.key == SET_ASIDE)
    if isinstance(cause, ScannerMoverError):
        key = re.sub(_OF_THIS_PASS, r"\1.*", str(cause))
        return Fault(cause, key, key, cause.exit_status, False)
    group = stuck_group(cause.study_instance_uid, cause.series_instance_uid)
    # Not by what is expected: while a series grows, each pass would report it anew.
    return Fault(cause, group, str(cause.received), ExitStatus.SCANNER, True)


def _group_of(failure: Failure) -> str:
    service = failure.detail.service
    return SCANNER if service is None or failure.kind in _OF_ASSOCIATION else f"{SCANNER} {service.value}"


def _content_of(failure: Failure) -> str:
    """What FAILURE is. The level of a failed C-MOVE is left out: it changes from attempt to attempt (R30). So are the
    level at which an association broke off, and the refused classes, which differ from series to series.
    """
    service, level, title, _ = failure.detail
    if failure.kind in NO_CONNECTION:
        return failure.kind.name
    says_nothing = service is Service.MOVE or failure.kind in _BREAKS_OFF
    names = (None if says_nothing else level, title)
    return " ".join((failure.kind.name, *(one.value for one in names if one is not None)))


def study_of(group: str) -> str | None:
    """The StudyInstanceUID that a group of faults is about; None for one that is about more than a study."""
    is_of_study = group.startswith((_STUCK, _CUT_SHORT, _NO_STUDY, _LOST_STEP))
    return group.split(" ")[1] if is_of_study else None


def is_of_one_call(group: str) -> bool:
    """Whether a group of faults is about what somebody typed, and not about a state that lasts."""
    return group.startswith(_NO_STUDY)


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


def lost_step(study_instance_uid: str, folder: str) -> Message:
    """That the MPPS file of a step in progress has gone from FOLDER (R20)."""
    text = (
        f"study {study_instance_uid}: a step of it was in progress, and its MPPS file is no longer in {folder}; the "
        "study stays open: is that folder's disk mounted, does the program that writes the files run?"
    )
    return Message(lost_step_group(study_instance_uid), text, ExitStatus.UNUSABLE)


def lost_step_group(study_instance_uid: str) -> str:
    """The group of that fault."""
    return f"{_LOST_STEP}{study_instance_uid}"


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
