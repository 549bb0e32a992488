"""The studies that were closed although images are missing: what `status --audit` finds.

The script closed studies that it had never pulled (R14). Here each closed study is compared with what the scanner
still has.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scanner_mover import rules
from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.scanner.inventory import Asker, FoundSeries, SeriesAnswer
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.images import images_in
from scanner_mover.site.requests import put_back


@dataclass(frozen=True)
class ClosedStudy:
    """A request in `finished-scans` or `failed-scans`."""

    study_instance_uid: str
    path: str


@dataclass(frozen=True)
class AuditedSeries:
    """One series of a closed study: images that the scanner has, that are here, and that are missing."""

    series_instance_uid: str
    expected: int | None
    received: int
    missing: int


@dataclass(frozen=True)
class AuditedStudy:
    """One closed study; `failure` when the scanner could not be asked, no series when it no longer has the study."""

    closed: ClosedStudy
    series: tuple[AuditedSeries, ...]
    failure: Failure | None

    @property
    def missing(self) -> int:
        """How many images are missing here."""
        return sum(series.missing for series in self.series)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of one study in an audit."""
        return {
            "study": self.closed.study_instance_uid,
            "request": self.closed.path,
            "missing": self.missing,
            "on_scanner": bool(self.series),
            "series": [
                {"series": one.series_instance_uid, "expected": one.expected, "received": one.received}
                | {"missing": one.missing}
                for one in self.series
            ],
            "error": self.failure.text if self.failure else None,
        }


def closed_studies(folders: DataFolders, since: float) -> list[ClosedStudy]:
    """The requests that were closed at SINCE (seconds of the epoch) or later; a rename sets the inode's time."""
    found = []
    for folder in (folders.finished_scans, folders.failed_scans):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if is_uid(entry.name) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        if entry.stat(follow_symlinks=False).st_ctime >= since:
                            found.append(ClosedStudy(entry.name, entry.path))
    return sorted(found, key=lambda one: (one.study_instance_uid, one.path))


def audit(settings: Settings, closed: Sequence[ClosedStudy]) -> list[AuditedStudy]:
    """Compare each of CLOSED with the scanner.

    Raises UnusableError when a tool or a folder cannot be used, ConfigurationError when `tls` cannot.
    """
    tools = find_tools()
    tls.check(tools, settings, ["findscu"])
    folders = DataFolders(settings.data_dir)
    with tempfile.TemporaryDirectory(prefix="scanner-mover.") as work:
        asker = Asker(tools, settings, work, settings.retries)
        answers = asker.series(sorted({one.study_instance_uid for one in closed}))
        listed = asker.images(
            [(uid, one.series_instance_uid) for uid, answer in answers.items() for one in answer.series]
        )
    audited = []
    for one in closed:
        uid = one.study_instance_uid
        answer = answers[uid]
        series = tuple(_compare(folders, uid, found, listed) for found in answer.series)
        failures = [listed[uid, found.series_instance_uid].failure for found in answer.series]
        # A scanner that lists no images at all is believed by its counts, as when a request is closed (R22).
        broken = next((failure for failure in failures if failure and failure.kind is not Kind.REFUSED), None)
        audited.append(AuditedStudy(one, series, answer.failure or broken))
    return audited


def _compare(
    folders: DataFolders, study_instance_uid: str, found: FoundSeries, listed: dict[tuple[str, str], SeriesAnswer]
) -> AuditedSeries:
    uid = found.series_instance_uid
    names = list(images_in(folders.series(study_instance_uid, uid)).names)
    images = listed[study_instance_uid, uid].sop_instance_uids
    expected = rules.expected_images(found.number_of_series_related_instances, found.images_in_acquisition, len(images))
    missing = max(0, (expected or 0) - len(names))
    if images and (not names or rules.are_named_by_uid(names)):
        missing = max(missing, len(rules.missing_by_name(images, names)))
    return AuditedSeries(uid, expected, len(names), missing)


def request_again(folders: DataFolders, closed: Iterable[ClosedStudy]) -> tuple[int, int]:
    """Put requests back into `active-scans` with a fresh time, never over one that is there.

    Gives how many were put back, and how many were requested already. Raises UnusableError when one cannot be moved,
    after all others were.
    """
    back = there = 0
    problem: UnusableError | None = None
    for one in closed:
        try:
            if put_back(one.path, folders.active_scans):
                back += 1
            else:
                there += 1
        except UnusableError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return back, there
