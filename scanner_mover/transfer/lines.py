"""What a pass has to say: the lines for standard error and the log, and the events for programs of the site.

Imported only by a pass that has something to say.
"""

from collections.abc import Iterable
from typing import NamedTuple

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.site import state
from scanner_mover.transfer import notify, reported
from scanner_mover.transfer.faults import fault
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.hooks import Event, EventKind
from scanner_mover.transfer.report import ClosedRequest
from scanner_mover.transfer.reported import Change, Scope
from scanner_mover.transfer.work import Work


class Lines(NamedTuple):
    """What is NEW, what still holds and was said before (STANDING), what of that this pass met AGAIN, and the EVENTS.

    CLOSED are the lines about requests that failed or lack images. The events are for programs of the site. WAITING are
    the exit statuses of what holds and waits for its next try.
    """

    new: tuple[Change, ...] = ()
    closed: tuple[Change, ...] = ()
    standing: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    waiting: tuple[int, ...] = ()


def of_pass(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> Lines:
    """What the pass of FRAME has to say; the log gets it, and the state gets the faults that hold from now on."""
    all_changes = _changes(frame, settings, work, raised)
    closed = [Change(notify.closed_text(one), ended=False) for one in _not_well(frame.closed)]
    for change in (*all_changes, *closed):
        frame.log(change.text)
    changes = reported.shortened(all_changes)
    events = notify.events_of(frame.project, clock.iso(frame.started), frame.closed, changes)
    wanted = notify.wanted(settings, events) if settings is not None else ()
    new_texts = {change.text for change in all_changes}
    standing = [one for one in reported.from_json(frame.state.faults) if one.text not in new_texts]
    met = {(one.group, one.content) for one in frame.faults}
    again = (one.text for one in standing if (one.group, one.content) in met)
    new = [*_unsaid(frame), *changes]
    if frame.options.dry_run:
        new = [one for one in new if not one.ended]
    waiting = () if frame.options.studies else (one.exit_status for one in standing if one.group in work.untested)
    texts = tuple(one.text for one in standing)
    return Lines(tuple(new), tuple(closed), texts, tuple(again), tuple(wanted), tuple(waiting))


def with_problem(lines: Lines, frame: Frame, problem: UnusableError) -> Lines:
    """LINES and that the state file cannot be written, unless a fault of this pass says so already.

    What is reported is not remembered then, so that each pass would say all of it again: it is said once an hour.
    """
    by_hand = frame.options.dry_run or frame.options.is_by_hand
    if not by_hand and state.note_failed_write(frame.server.state, frame.started):
        of_closed = (EventKind.FINISHED, EventKind.FAILED)
        return lines._replace(new=(), events=tuple(one for one in lines.events if one.kind in of_closed))
    found = fault(problem)
    if found.group in {one.group for one in frame.faults}:
        return lines
    return lines._replace(new=(*lines.new, Change(str(problem), ended=False)))


def _changes(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> list[Change]:
    """What is new among the faults."""
    by_hand = bool(frame.options.studies)
    off = work.report is not None and not work.report.enabled and not by_hand
    before = reported.from_json(frame.state.faults)
    now, past, changes = reported.compare(
        frame.faults,
        before,
        reported.past_from_json(frame.state.past_faults),
        Scope(
            untested=work.untested,
            dropped=work.dropped,
            nothing=raised is not None or settings is None or by_hand,
            no_scanner=off or work.report is None,
            no_retrieve=not work.sent,
            missing=work.missing,
            requested=None if off or work.report is None else work.requested,
            failed={one.study_instance_uid for one in _not_well(frame.closed)},
            finished={one.study_instance_uid for one in frame.closed if one.finished},
        ),
        settings,
        frame.started,
    )
    if frame.options.is_by_hand and not work.requested:
        # No pass of cron would test what was met with a study that nobody requests.
        known = {(one.group, one.content) for one in before}
        now = [one for one in now if (one.group, one.content) in known]
    frame.state.faults, frame.state.past_faults = reported.to_json(now), reported.to_json(past)
    return changes


def _unsaid(frame: Frame) -> list[Change]:
    """The lines that earlier passes could not write to standard error."""
    lines, frame.state.unsaid = frame.state.unsaid, []
    return [Change(line, ended=False) for line in lines]


def _not_well(closed: Iterable[ClosedRequest]) -> list[ClosedRequest]:
    """The requests that failed, or were finished without all of their images (R36, R38)."""
    return [one for one in closed if not one.finished or one.reason is not None]
