"""The studies that were closed although images are missing: what `status --audit` finds (R39).

The script closed studies that it had never retrieved (R14). Each one is compared with what the scanner has now:
by the ledger if this program finished it, which finds series that arrived late and takes nothing for missing that the
site cleaned up; otherwise by the images in `site/raw`.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.dicom import is_uid, uid_order
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.modalities import is_wanted
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.rules.records import ReportedSeries
from scanner_mover.scanner.inventory import ImageAnswer, Inventory, SeriesAnswer
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.images import images_in
from scanner_mover.site.ledger import Entry

# So many studies in one association: what is known of them is shown before the next ones are asked for.
_STUDIES_AT_ONCE = 50

_Place = tuple[str, str]


@dataclass(frozen=True)
class ClosedStudy:
    """A request in `finished-scans` or `failed-scans`; `finished` is what the ledger says of a study we finished."""

    study_instance_uid: str
    path: str
    finished: Entry | None = None


@dataclass(frozen=True)
class AuditedSeries:
    """One series of a closed study: images that the scanner has, that are or were here, and that are missing."""

    series_instance_uid: str
    expected: int | None
    received: int
    missing: int


@dataclass(frozen=True)
class AuditedStudy:
    """One closed study.

    `series` are those that the site keeps. `failure` when the scanner could not be asked; `on_scanner` is false when it
    no longer has the study, `lost` true when no image was ever here either.
    """

    closed: ClosedStudy
    series: tuple[AuditedSeries, ...]
    failure: Failure | None
    on_scanner: bool
    lost: bool

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
            "on_scanner": self.on_scanner,
            "lost": self.lost,
            "series": [
                {"series": one.series_instance_uid, "expected": one.expected, "received": one.received}
                | {"missing": one.missing}
                for one in self.series
            ],
            "error": self.failure.text if self.failure else None,
        }


def closed_studies(folders: DataFolders, entries: Mapping[str, Entry], since: float) -> list[ClosedStudy]:
    """The requests that were closed at SINCE (seconds of the epoch) or later; a rename sets the inode's time.

    ENTRIES is the ledger; a line of it counts only with the request in its folder.
    """
    found = []
    for folder in (folders.finished_scans, folders.failed_scans):
        with contextlib.suppress(OSError), os.scandir(folder) as scanned:
            for one in scanned:
                with contextlib.suppress(OSError):
                    is_closed = is_uid(one.name) and one.is_file(follow_symlinks=False)
                    if is_closed and one.stat(follow_symlinks=False).st_ctime >= since:
                        entry = entries.get(one.name) if folder == folders.finished_scans else None
                        is_finished = entry is not None and entry.outcome is Outcome.FINISHED
                        found.append(ClosedStudy(one.name, one.path, entry if is_finished else None))
    return sorted(found, key=lambda one: (uid_order(one.study_instance_uid), one.path))


def audit(settings: Settings, closed: Sequence[ClosedStudy], scratch_folder: str) -> Iterator[AuditedStudy]:
    """Compare each of CLOSED with the scanner, one after the other; the answers pass through SCRATCH_FOLDER.

    Raises UnusableError when a tool or a folder cannot be used, ConfigurationError when `tls` cannot.
    """
    if not closed:
        return
    tools = find_tools()
    tls.check(tools, settings, ["findscu"])
    folders = DataFolders(settings.data_dir)
    files = QueryFiles(tools, scratch_folder)
    inventory = Inventory(tools, settings, files, settings.retries, lambda line: None)
    for start in range(0, len(closed), _STUDIES_AT_ONCE):
        some = closed[start : start + _STUDIES_AT_ONCE]
        answers = inventory.series([one.study_instance_uid for one in some])
        reported = {uid: _wanted(answer.series, settings) for uid, answer in answers.items()}
        listed = inventory.images(
            [
                (one.study_instance_uid, series.series_instance_uid)
                for one in some
                for series in reported[one.study_instance_uid]
                if not _is_unchanged(series, one.finished)
            ]
        )
        for one in some:
            uid = one.study_instance_uid
            yield _audited(folders, one, answers[uid], reported[uid], listed)


def _wanted(series: Iterable[ReportedSeries], settings: Settings) -> list[ReportedSeries]:
    """Those of SERIES that the site keeps (R40), in the order of their UIDs."""
    wanted = (one for one in series if is_wanted(one.modality, settings.modalities))
    return sorted(wanted, key=lambda one: uid_order(one.series_instance_uid))


def _audited(
    folders: DataFolders,
    closed: ClosedStudy,
    answer: SeriesAnswer,
    wanted: Iterable[ReportedSeries],
    listed: Mapping[_Place, ImageAnswer],
) -> AuditedStudy:
    """What became of one closed study: by the scanner's ANSWER, the WANTED series in it, and their images, LISTED."""
    study = closed.study_instance_uid
    series = tuple(_compare(folders, closed, one, listed.get((study, one.series_instance_uid))) for one in wanted)
    # Of a scanner that lists no images at all the counts decide, as when a request is closed (R22).
    failures = [answer.failure for (uid, _), answer in listed.items() if uid == study]
    broken = answer.failure or next((one for one in failures if one is not None and one.kind is not Kind.REFUSED), None)
    on_scanner = bool(answer.series)
    lost = not (on_scanner or broken or closed.finished or _has_images(folders, study))
    return AuditedStudy(closed, series, broken, on_scanner, lost)


def _compare(
    folders: DataFolders, closed: ClosedStudy, reported: ReportedSeries, listed: ImageAnswer | None
) -> AuditedSeries:
    """One series: by what is here, as before a request is closed; by the ledger if we finished the study.

    What a site cleaned up is no longer here, and not missing.
    """
    uid = reported.series_instance_uid
    names = images_in(folders.series(closed.study_instance_uid, uid)).names
    known = None
    if listed is not None:
        known = series_rules.listing(listed.sop_instance_uids, listed.answers, listed.failure, names, None)
    counted = series_rules.count(reported, names, known)
    had = len(names) if closed.finished is None else max(len(names), _received(closed.finished, uid))
    missing = max(0, (counted.expected or 0) - had)
    if had == len(names):
        missing = 0 if counted.complete else max(missing, counted.missing)
    return AuditedSeries(uid, counted.expected, had, missing)


def _is_unchanged(reported: ReportedSeries, finished: Entry | None) -> bool:
    """Whether the scanner has no more of a series than we had when we finished its study: then nothing is asked."""
    count = reported.number
    return finished is not None and count is not None and count <= _received(finished, reported.series_instance_uid)


def _received(finished: Entry, series_instance_uid: str) -> int:
    """How many images of a series were here when its study was finished; none of a series that arrived later."""
    counts = (one.received for one in finished.series if one.series_instance_uid == series_instance_uid)
    return max(counts, default=0)


def _has_images(folders: DataFolders, study_instance_uid: str) -> bool:
    """Whether any image of a study is in `site/raw`. Raises UnusableError when its folder cannot be read."""
    study = os.path.join(folders.raw, study_instance_uid)
    try:
        series = os.listdir(study)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UnusableError(f"the folder {study} cannot be read: {error.strerror}") from error
    return any(images_in(os.path.join(study, one)).names for one in series)
