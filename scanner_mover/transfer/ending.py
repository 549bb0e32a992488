"""The end of a pass: report what happened, then write the state.

A plain module. Standard error gets one line when a fault begins, changes or ends, not one for each pass: cron mails
whatever a job prints.
"""

from collections.abc import Iterable

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.errors import Ended, ExitStatus, UnusableError, worst
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.transfer.frame import Frame
from scanner_mover.transfer.report import ClosedRequest, PassReport
from scanner_mover.transfer.work import Work

if TYPE_CHECKING:  # most passes have nothing to say, and to import what says it costs time
    from scanner_mover.transfer.hooks import Event
    from scanner_mover.transfer.lines import Lines
    from scanner_mover.transfer.reported import Change


class PassResult(Record):
    """The result of a pass: its exit status, its report (None when it could not be made), and what is to be said.

    `new` are the lines for standard error, `standing` those of faults that were reported before, `again` those of them
    that this pass met. `closed` are the requests that were moved, `events` what programs of the site are to hear.
    `raised` is the signal or the error of ours that ended it, for the caller to raise after that.
    """

    exit_status: int
    report: PassReport | None
    new: "tuple[Change, ...]" = ()
    standing: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    closed: tuple[ClosedRequest, ...] = ()
    events: "tuple[Event, ...]" = ()
    raised: BaseException | None = None


def end(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> PassResult:
    """End the pass of FRAME, whose WORK was done or RAISED something; SETTINGS are None where there are none."""
    if frame.log.failure is not None:
        frame.blame(UnusableError(frame.log.failure))
    lines = _lines(frame, settings, work, raised)
    exit_status = _exit_status(frame, () if lines is None else lines.waiting)
    if frame.may_write:
        problem = _write(frame, () if lines is None else lines.events, exit_status, raised)
        if problem is not None:
            from scanner_mover.transfer.lines import Lines, with_problem

            lines = with_problem(lines or Lines(), frame, problem)
            exit_status = worst((exit_status, problem.exit_status))
    if lines is None:
        return PassResult(exit_status, work.report, raised=raised)
    closed = tuple(frame.closed)
    new = (*lines.new, *lines.closed)
    return PassResult(exit_status, work.report, new, lines.standing, lines.again, closed, lines.events, raised)


def _lines(frame: Frame, settings: Settings | None, work: Work, raised: BaseException | None) -> "Lines | None":
    """What there is to say; None: nothing, as in most passes."""
    if not (frame.faults or frame.state.faults or frame.closed or frame.state.unsaid):
        return None
    from scanner_mover.transfer import lines

    return lines.of_pass(frame, settings, work, raised)


def _exit_status(frame: Frame, waiting: Iterable[int]) -> int:
    """The worst of what this pass met and of what is WAITING for its next try. Unlike a line, it is given each time."""
    statuses: list[int] = [*waiting, *(one.exit_status for one in frame.faults)]
    statuses += [ExitStatus.REQUEST_FAILED for one in frame.closed if not one.finished]
    return worst(statuses)


def _write(
    frame: Frame, events: "Iterable[Event]", exit_status: int, raised: BaseException | None
) -> UnusableError | None:
    """Write the state file; gives what is wrong with it."""
    kept = frame.state
    kept.project, kept.started = frame.project, clock.iso(frame.started)
    kept.seconds, kept.running_since = round(frame.seconds, 3), None
    # Earlier ones stay until `notify.deliver` has tried them: a signal may arrive first.
    kept.events = [*kept.events, *(one.to_json() for one in events)]
    # A pass that was ended on purpose has not failed.
    kept.exit_status = exit_status if raised is None or isinstance(raised, Ended) else ExitStatus.INTERNAL
    return frame.save_state()
