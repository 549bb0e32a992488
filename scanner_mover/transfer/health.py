"""The scanner as a whole: whether it sends anything at all (R29), and which faults of it a pass could not test."""

import math
from collections.abc import Collection

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.rules import retrieving as rules
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.modalities import is_wanted
from scanner_mover.rules.records import Listing, SeriesMemory, StudyMemory
from scanner_mover.rules.reporting import nothing_arrives
from scanner_mover.scanner.inventory import Place
from scanner_mover.site.images import images_in
from scanner_mover.transfer.faults import (
    FIND,
    LISTS,
    MOVE,
    SET_ASIDE,
    Message,
    cut_short_group,
    fault,
    stuck_group,
    unusable,
)
from scanner_mover.transfer.job import Findings, Job


def judge_the_silent(job: Job, findings: Findings) -> None:
    """Judge the last attempts of series of which nothing ever arrived, before any of them is asked for again."""
    now = clock.now()
    for study, known in findings.memory.items():
        series = dict(known.series)
        for uid, one in known.series.items():
            if one.attempt is not None and not one.attempt.judged and not one.largest:
                try:
                    here = len(images_in(job.folders.series(study, uid)).names)
                except UnusableError:  # its study says so when its turn comes
                    continue
                series[uid] = rules.judge(one, here, now, job.pauses)
                findings.fruitless_moves += series[uid].fruitless > one.fruitless
        findings.memory[study] = known._replace(series=series)


def note_silence(findings: Findings) -> None:
    """Note whether the scanner sends nothing at all (R29)."""
    attempts = (one for study in findings.memory.values() for one in study.series.values())
    findings.silence = rules.silence_after(findings.silence, attempts, clock.now().boot)


def note_arrival(findings: Findings, study_instance_uid: str) -> None:
    """Note that images of a study arrived: what was asked for before no longer counts against the scanner (R29)."""
    boot = clock.now().boot
    findings.silence = None
    for study, known in findings.memory.items():
        fed = [one.attempt.at.turn(boot) for one in known.series.values() if one.attempt is not None and one.largest]
        until = max(fed, default=(False, 0.0)) if study == study_instance_uid else (True, math.inf)
        series = {
            uid: rules.after_others_came(one) if one.attempt is not None and one.attempt.at.turn(boot) < until else one
            for uid, one in known.series.items()
        }
        findings.memory[study] = known._replace(series=series)


def report_silence(job: Job, findings: Findings) -> None:
    """Report a scanner that sends nothing at all: that is the fault then, not each series (R29)."""
    if findings.silence is None or job.dry_run:
        return
    settings = job.settings
    port = settings.receive_port if settings.receive else None
    text = (
        f"scanner {settings.called_ae_title} at {settings.host}:{settings.port} sends no images at all: "
        f"the C-MOVEs of {rules.SILENT_SERIES} series in a row brought nothing; "
        f"{nothing_arrives(settings.calling_ae_title, port)}"
    )
    findings.faults.append(fault(Message("sends nothing", text)))


def note_untested(findings: Findings, modalities: Collection[str] | None) -> None:
    """Which faults of earlier passes this pass could not test: what waits for its next attempt or question. And which
    end without having recovered: a list that is cut short, where the count decides instead (R34).

    Series of other MODALITIES wait for nothing (R40).
    """
    for study, known in findings.memory.items():
        if any(_is_cut(one.listing) and series_rules.relies_on_count(one.listing) for one in known.series.values()):
            findings.dropped.add(LISTS)
        if study not in findings.asked:
            findings.untested |= _untested_before_closing(study, known)
        for series, one in known.series.items():
            if is_wanted(one.modality, modalities):
                findings.untested |= _untested_of(study, series, one, findings.attempted)


def _is_cut(listing: Listing | None) -> bool:
    return listing is not None and listing.cut_in_a_row > 0


def _untested_before_closing(study: str, known: StudyMemory) -> set[str]:
    """The groups of faults that are tested only by the questions before STUDY is closed, and by its move."""
    untested = {FIND} if known.closing_unanswered else set()
    if known.obstacle:
        untested |= {cut_short_group(study), unusable(known.obstacle).group}
    return untested


def _untested_of(study: str, series: str, memory: SeriesMemory, attempted: Collection[Place]) -> set[str]:
    """The groups of faults that concern one series and that were not tested, as far as its MEMORY says."""
    untested = set()
    attempt, listing = memory.attempt, memory.listing
    if _is_cut(listing) and not series_rules.relies_on_count(listing):
        untested.add(FIND)
    if memory.complete or attempt is None:
        return untested
    if (study, series) not in attempted:
        untested.add(SET_ASIDE)
        if not attempt.succeeded:
            # What could not be used was then the error of the attempt.
            untested |= {MOVE, unusable(attempt.error or "").group}
    if memory.fruitless or not attempt.judged:
        untested.add(stuck_group(study, series))
    return untested
