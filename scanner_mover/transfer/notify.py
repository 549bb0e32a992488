"""Which events a pass sends to the site's programs, and what becomes of those that were not delivered (`hooks`).

Imported only where there is an event: most passes have none.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.site import state
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.state import State
from scanner_mover.transfer import reported
from scanner_mover.transfer.hooks import Event, EventKind, EventSeries, run_hooks, second_try, to_keep
from scanner_mover.transfer.report import ClosedRequest
from scanner_mover.transfer.reported import Change


def events_of(project: str, when: str, closed: Iterable[ClosedRequest], changes: Iterable[Change]) -> list[Event]:
    """The events of a pass over PROJECT that began WHEN (ISO 8601): requests that were CLOSED, faults that CHANGED."""
    events = [
        Event(
            EventKind.FINISHED if one.finished else EventKind.FAILED,
            project,
            one.study_instance_uid,
            closed_text(one),
            when,
            tuple(EventSeries(series.series_instance_uid, series.expected, series.received) for series in one.series),
        )
        for one in closed
    ]
    events += [
        Event(EventKind.RECOVERED if one.ended else EventKind.FAULT, project, None, one.text, when) for one in changes
    ]
    return events


def closed_text(closed: ClosedRequest) -> str:
    """The line about a request that was closed: why it failed, or what it lacks (R36, R38)."""
    study = closed.study_instance_uid
    if not closed.finished:
        where = f"its images are in {closed.raw}" if closed.raw else "no image of it is here"
        return f"study {study} failed: {closed.reason}; {where}"
    return f"study {study} is finished" if closed.reason is None else f"study {study} is incomplete: {closed.reason}"


def wanted(settings: Settings, events: Iterable[Event]) -> list[Event]:
    """Those of EVENTS that a program of the site is to hear of."""
    return [one for one in events if getattr(settings, one.option) is not None]


def deliver(
    settings: Settings, server: ServerFolders, new: Sequence[Event], kept: Sequence[object], log: Callable[[str], None]
) -> list[Change]:
    """Run the site's programs for the NEW events, and once more for those that were KEPT by an earlier pass.

    To be called without the lock. The state file already has the new ones, in case that we are killed; here it gets
    those that were not delivered. Gives the lines about programs that an event did not reach twice, and about those
    that it reaches again. Raises Ended.
    """
    earlier = [event for value in kept if (event := second_try(value)) is not None]
    undelivered = run_hooks(settings, [*earlier, *new])
    for one in undelivered:
        log(one.text)
    lost = {one.event.option: one.text for one in undelivered if one.event.is_second_try}
    delivered = {event.option for event in (*earlier, *new)} - {one.event.option for one in undelivered}
    return _keep(server, to_keep(undelivered), lost, delivered, log)


def _keep(
    server: ServerFolders,
    events: list[dict[str, object]],
    lost: Mapping[str, str],
    delivered: Collection[str],
    log: Callable[[str], None],
) -> list[Change]:
    """Put EVENTS into the state file, and that those of the options LOST were lost, and those DELIVERED.

    While another pass has the lock, the file stays as it is, and its events are delivered once more.
    """
    changes: list[Change] = []

    def put(known: State) -> None:
        known.events = list(events)
        now, now_changed = reported.of_hooks(reported.from_json(known.faults), lost, delivered, time.time())
        known.faults = reported.to_json(now)
        changes.extend(now_changed)

    try:
        state.change_soon(server, put)
    except UnusableError as error:
        log(str(error))
    for change in changes:
        log(change.text)
    return changes
