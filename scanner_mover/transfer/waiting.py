"""What a request waits for, by what is known of its study: how long nothing has changed, and what is missing."""

import datetime

from scanner_mover.config import Settings
from scanner_mover.moment import Moment
from scanner_mover.rules import asking
from scanner_mover.rules import closing as rules
from scanner_mover.rules.outcomes import Procedure, WaitsFor
from scanner_mover.rules.series import lists_nothing
from scanner_mover.transfer.study import Study


def note_steps(study: Study) -> None:
    """Remember which MPPS files of STUDY have steps that have not ended, also those that are gone (R20, R21)."""
    if study.steps_are_readable:
        names = {one.name for one in study.open_steps}.union(study.lost_steps)
        seen = max(study.memory.steps_seen, len(study.steps))
        study.memory = study.memory._replace(open_steps=tuple(sorted(names)), steps_seen=seen)


def note_quiet(study: Study) -> None:
    """Remember since when the scanner has reported the same of STUDY, from the end of its procedure on (R22 a)."""
    if not study.answered:
        return
    ended_before = study.memory.procedure is study.procedure
    earlier = study.memory.fingerprint if ended_before else None
    since = rules.unchanged_since(study.fingerprint, earlier, study.memory.unchanged_since, study.asked_at)
    study.memory = study.memory._replace(
        fingerprint=study.fingerprint, unchanged_since=since, procedure=study.procedure
    )


def quiet_left(study: Study, settings: Settings) -> float:
    """How many seconds without a change STUDY still needs before it may be closed (R22 a, R32)."""
    since = study.memory.unchanged_since
    seconds = settings.quiet_seconds
    if study.procedure is Procedure.UNKNOWN:
        seconds = max(seconds, _no_mpps_seconds(study, settings) or seconds)
    return seconds if since is None else rules.quiet_left(since, study.asked_at, seconds)


def is_known_to_end_by_quiet(study: Study, settings: Settings) -> bool:
    """Whether STUDY has ended, or counts as ended after a time that is known when nothing changes any more (R32).

    How long that is depends on its StudyDate, where the site did not set it.
    """
    is_set = settings.no_mpps_after_seconds is not None or study.memory.study_date is not None
    return _ends_by_quiet(study, settings) and (is_set or study.procedure is not Procedure.UNKNOWN)


def is_quiet_counted(study: Study, settings: Settings) -> bool:
    """Whether STUDY closes by itself if nothing changes, and that time is already running."""
    return _ends_by_quiet(study, settings) and quiet_left(study, settings) > 0


def waits_for(study: Study, settings: Settings, due_in: float | None) -> WaitsFor | None:
    """What the request of STUDY waits for; None: it may be closed. DUE_IN: seconds until the next C-MOVE, if any."""
    state = study.procedure
    quiet = quiet_left(study, settings)
    if state is Procedure.UNKNOWN and _no_mpps_seconds(study, settings) is not None and quiet <= 0:
        state = Procedure.ENDED  # no MPPS file will arrive (R32)
    return rules.waits_for(
        answered=study.answered,
        counts=[one.count for one in study.wanted],
        wanted=sum(one.is_reported for one in study.wanted),
        state=state,
        quiet=quiet,
        due=due_in is not None and due_in <= 0,
    )


def next_list_in(study: Study, now: Moment) -> float | None:
    """Seconds until the scanner is asked again for a list that was empty (R37, R44); None where none was."""
    empty = [one for one in study.wanted if lists_nothing(one.reported, one.memory.listing)]
    waits = (asking.due_in(one.memory.list_asked, one.basis, now, counted=False) for one in empty)
    return min(waits, default=None)


def _ends_by_quiet(study: Study, settings: Settings) -> bool:
    """Whether STUDY has ended, or counts as ended when nothing changes any more (R32)."""
    return study.procedure is not Procedure.UNKNOWN or _no_mpps_seconds(study, settings) is not None


def _no_mpps_seconds(study: Study, settings: Settings) -> float | None:
    return rules.no_mpps_seconds(
        settings.no_mpps_after_seconds, study.mpps_expected, study.memory.study_date, datetime.date.today()
    )
