"""Receiving during one pass: what a killed pass had received, what comes late (R41), and the end of the receiver."""

from collections.abc import Iterator
from contextlib import contextmanager

from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.receiver import Receiver, file_left_over
from scanner_mover.transfer.faults import fault
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.retrieving import Retrieving

# R41: a scanner that says Success first sends within so many seconds, or is waited for as long as images arrive.
_SHORTEST_LISTENING_SECONDS = 5.0


def receiver_of(job: Job, tools: Toolbox) -> Receiver | None:
    """The receiver of the pass, not started yet; None where another program receives."""
    if not job.settings.receive:
        return None
    return Receiver(tools, job.settings, job.folders, job.study_instance_uids, job.log)


@contextmanager
def receiving(receiver: Receiver | None, retrieving: Retrieving, tools: Toolbox) -> Iterator[None]:
    """While this lasts images may be retrieved: before it, what was left is filed; after it, RECEIVER is ended."""
    job = retrieving.job
    try:
        if not job.dry_run:
            with _as_fault(retrieving):
                filed = file_left_over(tools, job.settings, job.folders, job.study_instance_uids, job.log)
                # What a kill cut short is no fault of the scanner's: it is asked for again.
                retrieving.take((), filed.kept)
        yield
        if receiver is not None and receiver.running and _may_come_late(retrieving.findings):
            quiet = max(_SHORTEST_LISTENING_SECONDS, job.settings.settle_seconds)
            with _as_fault(retrieving):
                filed = receiver.listen_on(quiet, job.settings.retrieve_stall_seconds)
                retrieving.take(filed.set_aside, filed.kept)
    finally:
        if receiver is not None:
            with _as_fault(retrieving):
                filed = receiver.end()
                retrieving.take(filed.set_aside, filed.kept)


@contextmanager
def _as_fault(retrieving: Retrieving) -> Iterator[None]:
    """What cannot be used in here is a fault; the pass goes on."""
    try:
        yield
    except UnusableError as error:
        retrieving.findings.faults.append(fault(error))
        retrieving.job.log(str(error))


def _may_come_late(findings: Findings) -> bool:
    """Whether a C-MOVE of this pass ended with Success and images of its series are not here (R41)."""
    return any(
        one.attempt is not None and one.attempt.succeeded and one.retrieved and not one.complete
        for study in findings.memory.values()
        for one in study.series.values()
    )
