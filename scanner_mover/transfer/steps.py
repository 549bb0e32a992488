"""The MPPS files of the studies of a pass: read when it begins, and anew for a study that is about to be closed."""

import os
from collections.abc import Collection

from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.site import mpps
from scanner_mover.site.mpps import MppsFiles, Step
from scanner_mover.site.mpps_cache import Cache
from scanner_mover.transfer.faults import fault
from scanner_mover.transfer.job import Findings, Job


class Steps:
    """Reads the MPPS files during one pass; what is wrong with them is a fault of the pass, once."""

    def __init__(self, job: Job, tools: Toolbox, findings: Findings) -> None:
        self._job = job
        self._tools = tools
        self._findings = findings
        self._is_reported = False

    def of_all(self) -> dict[str, tuple[Step, ...]]:
        """The MPPS files of all studies of the pass; files that are none are logged once."""
        found = self._read(self._job.study_instance_uids)
        unreadable = self._job.not_yet_reported("mpps", found.unreadable)
        for line in mpps.unreadable_lines(self._job.folders.scanner, unreadable):
            self._job.log(line)
        return dict(found.steps)

    def of(self, study_instance_uid: str) -> tuple[Step, ...]:
        """The MPPS files of one study as they are now."""
        return self._read([study_instance_uid]).steps.get(study_instance_uid, ())

    def _read(self, uids: Collection[str]) -> MppsFiles:
        job = self._job
        cache = Cache(None if job.dry_run else job.server.mpps_index, job.folders.scanner)
        try:
            found = mpps.read_steps(self._tools, job.folders.scanner, uids, cache)
        except UnusableError as error:
            # Nobody knows which steps there are: none of these procedures counts as ended.
            found = MppsFiles({uid: (Step("", readable=False),) for uid in uids}, faults=(error,))
        else:
            cache.save(os.path.join(job.scratch_folder, f"mpps.{os.urandom(4).hex()}.json"))
        if not self._is_reported:
            self._findings.faults += map(fault, found.faults)
            self._is_reported = bool(found.faults)
        return found
