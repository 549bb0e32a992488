"""Receiving during one pass: what a killed pass had received, what arrives late (R41), and the end of the receiver."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scanner_mover import signals
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.inventory import Place
from scanner_mover.scanner.left_over import file_left_over
from scanner_mover.scanner.receiver import Receiver
from scanner_mover.site.images import images_in
from scanner_mover.transfer.attempts import Attempts
from scanner_mover.transfer.faults import fault
from scanner_mover.transfer.job import Findings, Job

# R41: a scanner that says Success first has this many seconds to send, and more for as long as images arrive.
_SHORTEST_LISTENING_SECONDS = 5.0


def receiver_of(job: Job, tools: Toolbox) -> Receiver | None:
    """The receiver of the pass, not started yet; None where another program receives."""
    if not job.settings.receive:
        return None
    return Receiver(tools, job.settings, job.folders, job.study_instance_uids, job.log)


@contextmanager
def receiving(receiver: Receiver | None, attempts: Attempts, tools: Toolbox) -> Iterator[None]:
    """Images are retrieved inside this `with`. First what a pass left is filed; at its end RECEIVER is stopped."""
    job = attempts.job
    try:
        if not job.dry_run:
            with _as_fault(attempts):
                filed = file_left_over(tools, job.settings, job.folders, job.study_instance_uids, job.log)
                # What a kill cut short is no fault of the scanner's: it is asked for again.
                attempts.take((), filed.kept)
        yield
        late = _late(attempts.findings)
        if receiver is not None and receiver.running and late:
            quiet = max(_SHORTEST_LISTENING_SECONDS, job.settings.settle_seconds)
            with _as_fault(attempts):
                filed = receiver.listen_on(quiet, job.settings.retrieve_stall_seconds, lambda: _all_came(job, late))
                attempts.take(filed.set_aside, filed.kept)
    finally:
        if receiver is not None:
            with signals.deferred(), _as_fault(attempts):
                filed = receiver.end()
                attempts.take(filed.set_aside, filed.kept)


@contextmanager
def _as_fault(attempts: Attempts) -> Iterator[None]:
    """What cannot be used in here is a fault; the pass goes on."""
    try:
        yield
    except UnusableError as error:
        attempts.findings.faults.append(fault(error))
        attempts.job.log(str(error))


def _late(findings: Findings) -> dict[Place, int | None]:
    """The series of which a C-MOVE of this pass ended with Success while images are missing, and how many they have."""
    return {
        (study, uid): one.expected
        for study, known in findings.memory.items()
        for uid, one in known.series.items()
        if (study, uid) in findings.attempted and one.attempt is not None and one.attempt.succeeded and not one.complete
    }


def _all_came(job: Job, late: Mapping[Place, int | None]) -> bool:
    """Whether all images of the series that were LATE are here now."""
    return all(
        expected is not None and len(images_in(job.folders.series(*place)).names) >= expected
        for place, expected in late.items()
    )
