"""Moving a request to finished-scans or failed-scans: the ledger first, then the file (R22, R24, R36, R38, R39)."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site import ledger, requests
from scanner_mover.site.disk import sync_file_system, sync_folder
from scanner_mover.text import images_of
from scanner_mover.transfer.faults import FIND, MOVE
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.report import ClosedRequest
from scanner_mover.transfer.study import Study, series_reports


@dataclass(frozen=True)
class Mover:
    """Moves the requests of JOB and notes them in FINDINGS."""

    job: Job
    findings: Findings

    def finish(self, study: Study) -> Outcome:
        """Close the request of STUDY as finished, incomplete if series vanished at the scanner (R36).

        Raises UnusableError when it cannot be moved.
        """
        job = self.job
        reason = _what_it_lacks(study)
        if reason is not None:
            job.log(f"{study.uid} is closed incomplete: {reason}")
        if study.request.files and job.closes:
            if not job.dry_run:
                sync_file_system(job.folders.raw)
            folder = job.folders.finished_scans
            self._move(study, folder, lambda file: f"JOB {file} to {folder}", finished=True, reason=reason)
        return Outcome.FINISHED

    def fail(self, study: Study, reason: str, line: Callable[[str], str]) -> Outcome:
        """Close the request of STUDY as failed for REASON; LINE gives what the log says of a file (R24, R40).

        Raises UnusableError when it cannot be moved.
        """
        self._move(study, self.job.folders.failed_scans, line, finished=False, reason=reason)
        # What the scanner did not do for it has not recovered because nobody waits for it any more (R38).
        self.findings.dropped |= {FIND, MOVE}
        return Outcome.FAILED

    def _move(
        self, study: Study, folder: str, line: Callable[[str], str], *, finished: bool, reason: str | None
    ) -> None:
        job = self.job
        if job.dry_run:
            job.log(f"would move {study.name} to {folder}")
            return
        series = series_reports(study)
        ledger.append(
            job.server.ledger,
            ledger.Entry(
                study_instance_uid=study.uid,
                time=clock.iso(time.time()),
                outcome=Outcome.FINISHED if finished else Outcome.FAILED,
                reason=reason,
                series=tuple(
                    ledger.SeriesCounts(one.series_instance_uid, one.expected, one.received) for one in series
                ),
                incomplete=finished and reason is not None,
            ),
        )
        moved = requests.close(study.request, folder)
        if moved and finished:
            self._remove_older(study.uid, job.folders.failed_scans)
        for changed in (folder, job.folders.active_scans):
            sync_folder(changed)
        for file in moved:
            job.log(line(file))
        if not moved:
            job.log(f"{study.name} was taken away meanwhile")
            return
        raw = os.path.join(job.folders.raw, study.uid)
        if not os.path.isdir(raw):
            raw = ""
        self.findings.closed.append(ClosedRequest(study.uid, finished, reason, series, raw))

    def _remove_older(self, study_instance_uid: str, folder: str) -> None:
        """Remove what an earlier request, which failed, left in FOLDER."""
        try:
            if requests.remove_older(folder, study_instance_uid):
                self.job.log(f"{study_instance_uid} is no longer in {folder}, where an earlier request had left it")
        except UnusableError as error:
            self.job.log(str(error))


def _what_it_lacks(study: Study) -> str | None:
    """Which images of STUDY the scanner no longer has and are not here; None when it lacks none (R36)."""
    lacking = [one for one in study.wanted if one.count.vanished]
    if not lacking:
        return None
    parts = (f"{one.uid} ({images_of(one.count.received, one.count.expected)})" for one in lacking)
    return f"the scanner no longer has all of series {', '.join(parts)}"
