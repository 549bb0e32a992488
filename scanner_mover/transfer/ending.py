"""The end of a pass: its faults are compared with those that were reported, and the state is written.

A plain module. Standard error gets one line when a fault begins, changes or ends, not one for each pass: cron mails
whatever a job prints.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import Ended, ExitStatus, worst
from scanner_mover.transfer import faults
from scanner_mover.transfer.faults import Change, Fault, Scope, unusable
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.report import ClosedRequest, PassReport
from scanner_mover.transfer.work import Work

if TYPE_CHECKING:  # most passes have no event, and to import it costs time
    from scanner_mover.transfer.hooks import Event


class PassResult(NamedTuple):
    """What came of a pass: its exit status, its report (None when it could not be made), and what is to be said.

    `new` are the lines for standard error, `standing` those of faults that were reported before; `closed` the requests
    that were moved, `events` what programs of the site are to hear. `raised` is the signal or the error of ours that
    ended it, for the caller to raise after that.
    """

    exit_status: int
    report: PassReport | None
    new: tuple[Change, ...]
    standing: tuple[str, ...]
    closed: tuple[ClosedRequest, ...]
    events: "tuple[Event, ...]"
    raised: BaseException | None


def end(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> PassResult:
    """End the pass of FRAME, whose WORK was done or RAISED something; SETTINGS are None where there are none."""
    if frame.log.failure is not None:
        frame.faults.append(unusable(frame.log.failure))
    all_changes = _changes(frame, settings, work, raised)
    closed = _closed(frame.closed)
    for change in (*all_changes, *closed):
        frame.log(change.text)
    changes = faults.shortened(all_changes)
    wanted = _events(frame, settings, changes)
    changes += closed
    exit_status = _exit_status(frame.faults, frame.closed)
    if frame.may_write:
        problem = _write(frame, wanted, exit_status, raised)
        if problem is not None:
            if problem.group not in {one.group for one in frame.faults}:
                changes.append(Change(str(problem.cause), ended=False))
            exit_status = worst((exit_status, problem.exit_status))
    new = {change.text for change in all_changes}
    standing = tuple(one.text for one in faults.from_json(frame.state.faults) if one.text not in new)
    if frame.options.dry_run:
        changes = [one for one in changes if not one.ended]
    return PassResult(exit_status, work.report, tuple(changes), standing, tuple(frame.closed), wanted, raised)


def _changes(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> list[Change]:
    """What is new among the faults; the state gets those that hold from now on."""
    by_hand = bool(frame.options.studies)
    off = work.report is not None and not work.report.enabled and not by_hand
    reported, changes = faults.compare(
        frame.faults,
        faults.from_json(frame.state.faults),
        Scope(
            untested=work.untested,
            nothing=raised is not None or settings is None or by_hand,
            no_scanner=off or work.report is None,
            requested=None if off or work.report is None else work.requested,
            failed={one.study_instance_uid for one in _not_well(frame.closed)},
        ),
        settings,
        frame.started,
    )
    frame.state.faults = faults.to_json(reported)
    return changes


def _events(frame: Frame, settings: Settings | None, changes: list[Change]) -> "tuple[Event, ...]":
    """What programs of the site are to hear of this pass."""
    if settings is None or not (frame.closed or changes):
        return ()
    from scanner_mover.transfer import notify

    events = notify.events_of(frame.project, clock.iso(frame.started), frame.closed, changes)
    return tuple(notify.wanted(settings, events))


def _not_well(closed: Iterable[ClosedRequest]) -> list[ClosedRequest]:
    """The requests that failed, or were finished without all of their images."""
    return [one for one in closed if not one.finished or one.reason is not None]


def _closed(closed: Iterable[ClosedRequest]) -> list[Change]:
    """The lines about them (R36, R38)."""
    not_well = _not_well(closed)
    if not not_well:
        return []
    from scanner_mover.transfer import notify

    return [Change(notify.closed_text(one), ended=False) for one in not_well]


def _exit_status(found: Iterable[Fault], closed: Iterable[ClosedRequest]) -> int:
    statuses: list[int] = [one.exit_status for one in found]
    statuses += [ExitStatus.REQUEST_FAILED for one in closed if not one.finished]
    return worst(statuses)


def _write(frame: Frame, events: "Iterable[Event]", exit_status: int, raised: BaseException | None) -> Fault | None:
    """Write the state file; gives what is wrong with it."""
    kept = frame.state
    kept.project, kept.started = frame.project, clock.iso(frame.started)
    kept.seconds, kept.running_since = round(frame.seconds, 3), None
    kept.events = [*(kept.events if raised is not None else ()), *(one.to_json() for one in events)]
    # A pass that was ended on purpose has not failed.
    kept.exit_status = exit_status if raised is None or isinstance(raised, Ended) else ExitStatus.INTERNAL
    problem = frame.save_state()
    return None if problem is None else faults.fault(problem)
