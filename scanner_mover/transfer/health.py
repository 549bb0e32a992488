"""The scanner as a whole: whether it sends anything at all (R29), and which faults of it a pass could not test."""

from dataclasses import replace

from scanner_mover import clock
from scanner_mover.rules import retrieving as rules
from scanner_mover.rules.retrieving import Pauses
from scanner_mover.site.images import images_in
from scanner_mover.transfer.faults import FIND, MOVE, SET_ASIDE, Message, fault, stuck_group
from scanner_mover.transfer.job import Findings, Job


def judge_the_silent(job: Job, findings: Findings) -> None:
    """Judge the last attempts of series of which nothing ever came, before any of them is asked for again."""
    pauses = Pauses(job.settings.repull_after_seconds, job.settings.repull_at_most_seconds)
    now = clock.now()
    for study, known in findings.memory.items():
        series = dict(known.series)
        for uid, one in known.series.items():
            if one.attempt is not None and not one.attempt.judged and not one.largest:
                here = len(images_in(job.folders.series(study, uid)).names)
                series[uid] = rules.judge(one, here, now, pauses)
                findings.fruitless_moves += series[uid].fruitless > one.fruitless
        findings.memory[study] = replace(known, series=series)


def note_sickness(job: Job, findings: Findings) -> None:
    """Whether the scanner sends nothing at all (R29); then that is the fault, not each series."""
    attempts = [one for study in findings.memory.values() for one in study.series.values()]
    findings.sick = sick = rules.sickness(findings.sick, attempts)
    if sick is None or job.dry_run:
        return
    settings = job.settings
    port = f"port {settings.receive_port}" if settings.receive else "the port of the program that receives"
    text = (
        f"scanner {settings.called_ae_title} at {settings.host}:{settings.port} sends no images at all: "
        f"the C-MOVEs of {rules.SICK_SERIES} series in a row brought nothing; is {settings.calling_ae_title} "
        f"registered on it with this machine's address and {port}? does the program that files images run?"
    )
    findings.faults.append(fault(Message("sends nothing", text)))


def note_untested(findings: Findings) -> None:
    """Which faults of earlier passes this pass could not test: what waits for its next attempt or question."""
    for study_instance_uid, study in findings.memory.items():
        for uid, one in study.series.items():
            attempt, listing = one.attempt, one.listing
            if not one.complete and attempt is not None and not attempt.succeeded and not one.retrieved:
                findings.untested.add(MOVE)
            if listing is not None and listing.cut_in_a_row and not one.complete:
                findings.untested.add(FIND)
            if not one.complete and attempt is not None:
                # One that was told by hand after its first attempt has not recovered either.
                findings.untested |= {SET_ASIDE, stuck_group(study_instance_uid, uid)}
