"""What a pass says of a study: its counts in the log, what the scanner failed at, and what is stuck (R17, R31)."""

import os
from collections.abc import Collection, Iterable

from scanner_mover.dicom import is_uid
from scanner_mover.failures import Failure
from scanner_mover.rules.records import STUCK_ATTEMPTS
from scanner_mover.rules.reporting import Stuck
from scanner_mover.rules.retrieving import ends_the_pass
from scanner_mover.site.filing import SetAside
from scanner_mover.site.verdict import DAMAGE, Reason
from scanner_mover.text import images_of
from scanner_mover.transfer.faults import fault, lost_step, lost_step_group
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.study import Series, Study


def note_failure(job: Job, findings: Findings, study: Study, failure: Failure, message: str | None) -> None:
    """Note a failure of the scanner; MESSAGE is for the log unless nothing else is worth sending."""
    study.error = study.error or failure.text
    findings.faults.append(fault(failure))
    # A console that is off for a night is one fault, not a line for each study and pass.
    if message is not None and not ends_the_pass(failure) and failure.text != study.memory.error:
        job.log(f"{message}: {failure.text}")


def say_count(job: Job, study: Study, series: Series) -> None:
    """Log how many images of SERIES are here, in the reference's words."""
    if not series.wanted:
        return
    count, name = series.count, f"{study.uid}/{series.uid}"
    job.progress.counted(study.uid, series.uid, count.received, count.expected, count.complete)
    if count.complete:
        job.log(f"{name}, we do have {count.received} of {count.expected}")
    elif count.expected is None:
        images = images_of(count.received)
        job.log(f"{name}, we do have {images}, and the scanner does not say how many there are")
    elif not os.path.isdir(os.path.join(job.folders.raw, study.uid)):
        job.log(f"no study directory found {name}, we expect {count.expected} images")
    else:
        job.log(f"{name}, we do have {count.received} images but like to see {count.expected}")


def report_lost_steps(job: Job, findings: Findings, study: Study) -> None:
    """Report that the MPPS file of a step in progress is gone, when a second pass misses it: it may be rewritten."""
    memory = study.memory
    is_lost = bool(study.lost_steps)
    if is_lost and memory.step_lost:
        findings.faults.append(fault(lost_step(study.uid, job.folders.scanner)))
    elif not study.steps_are_readable:
        findings.untested.add(lost_step_group(study.uid))
        is_lost = memory.step_lost
    study.memory = memory._replace(step_lost=is_lost)


def report_stuck(job: Job, findings: Findings, study: Study) -> None:
    """Report series of which nothing new arrives (R31); one named on the command line is reported at once.

    A scanner that sends nothing at all is one fault, not one for each series (R29).
    """
    if job.dry_run or findings.silence is not None:
        return
    for series in study.wanted:
        memory, count = series.memory, series.count
        is_stuck = memory.fruitless >= STUCK_ATTEMPTS or (job.by_hand and memory.retrieved)
        if count.complete or not series.is_reported or not is_stuck:
            continue
        attempt = memory.attempt
        error, refused = (attempt.error, attempt.refused) if attempt is not None else (None, ())
        missing = memory.first_missing
        succeeded = attempt is not None and attempt.succeeded
        stuck = Stuck(study.uid, series.uid, count.received, count.expected, missing, error, refused, succeeded)
        findings.faults.append(fault(stuck))


def set_aside_text(
    set_aside: Iterable[SetAside], requested: Collection[str], *, new: bool, rejected: str
) -> str | None:
    """What is wrong with what arrived and was SET_ASIDE in the folder REJECTED; None for what strangers sent.

    A damaged file whose beginning names a study that is not REQUESTED is a stranger's. NEW: something else was filed.
    """
    reasons = {_reason(one, requested) for one in set_aside}
    if reasons & DAMAGE:
        return f"received images are not whole and were set aside in {rejected}"
    if Reason.OTHER_SERIES in reasons:
        return f"received images have another SeriesInstanceUID than the scanner lists and were set aside in {rejected}"
    if Reason.NOT_REQUESTED in reasons and not new:
        return f"received images have another StudyInstanceUID than the scanner lists and were set aside in {rejected}"
    return None


def _reason(one: SetAside, requested: Collection[str]) -> Reason:
    """Why ONE was set aside, as far as it concerns what was REQUESTED."""
    study = one.study_instance_uid
    is_strangers = study is not None and is_uid(study) and study not in requested
    return Reason.NOT_REQUESTED if one.reason in DAMAGE and is_strangers else one.reason
