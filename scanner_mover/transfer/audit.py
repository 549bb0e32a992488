"""The studies that were closed although images are missing: what `status --audit` finds (R39).

The script closed studies that it had never pulled (R14). Each closed study is compared with what the scanner has now:
by the ledger if this program finished it, which finds series that came late and takes nothing for missing that the site
cleaned up; otherwise by the images in `site/raw`.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.dicom import is_uid, uid_order
from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules import series as series_rules
from scanner_mover.rules.records import Told
from scanner_mover.scanner.inventory import ImageAnswer, Inventory
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.site.disk import make_folder
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.site.images import images_in
from scanner_mover.site.ledger import Entry
from scanner_mover.site.lock import Lock
from scanner_mover.site.requests import put_back

# So many studies in one association: what is known of them is shown before the next ones are asked for.
_STUDIES_AT_ONCE = 50
_LONGEST_WAIT_SECONDS = 30.0
_SECONDS_BETWEEN_TRIES = 0.2

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

    `failure` when the scanner could not be asked, no series when it no longer has the study; `lost` when it has not and
    no image was ever here.
    """

    closed: ClosedStudy
    series: tuple[AuditedSeries, ...]
    failure: Failure | None
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
            "on_scanner": bool(self.series),
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
                        is_finished = entry is not None and entry.outcome == "finished"
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
        listed = inventory.images(
            [
                (one.study_instance_uid, series.series_instance_uid)
                for one in some
                for series in answers[one.study_instance_uid].series
                if not _is_unchanged(series, one.finished)
            ]
        )
        for one in some:
            answer = answers[one.study_instance_uid]
            yield _audited(folders, one, answer.series, answer.failure, listed)


def _audited(
    folders: DataFolders,
    closed: ClosedStudy,
    told: Iterable[Told],
    failure: Failure | None,
    listed: Mapping[_Place, ImageAnswer],
) -> AuditedStudy:
    """What became of one closed study, by what the scanner TOLD and LISTED of it."""
    study = closed.study_instance_uid
    series = tuple(
        _compare(folders, closed, one, listed.get((study, one.series_instance_uid)))
        for one in sorted(told, key=lambda one: uid_order(one.series_instance_uid))
    )
    # A scanner that lists no images at all is believed by its counts, as when a request is closed (R22).
    failures = [answer.failure for (uid, _), answer in listed.items() if uid == study]
    broken = failure or next((one for one in failures if one is not None and one.kind is not Kind.REFUSED), None)
    lost = not series and broken is None and closed.finished is None and not _has_images(folders, study)
    return AuditedStudy(closed, series, broken, lost)


def _compare(folders: DataFolders, closed: ClosedStudy, told: Told, listed: ImageAnswer | None) -> AuditedSeries:
    """One series: by its names where files are named by UIDs, and by the ledger's count if we finished the study."""
    uid = told.series_instance_uid
    names = images_in(folders.series(closed.study_instance_uid, uid)).names
    images = frozenset[str]() if listed is None else listed.sop_instance_uids
    is_whole_list = bool(images) and listed is not None and listed.failure is None
    # A list that is whole beats the count (R33).
    expected = len(images) if is_whole_list else told.count or len(images) or None
    had = len(names)
    if closed.finished is not None:
        had = max(had, _received(closed.finished, uid))
    missing = max(0, (expected or 0) - had)
    if images and had == len(names) and (not names or series_rules.are_named_by_uid(names)):
        missing = max(missing, len(series_rules.missing_by_name(images, names)))
    return AuditedSeries(uid, expected, had, missing)


def _is_unchanged(told: Told, finished: Entry | None) -> bool:
    """Whether the scanner has no more of a series than we had when we finished its study: then nothing is asked."""
    count = told.count
    return finished is not None and count is not None and count <= _received(finished, told.series_instance_uid)


def _received(finished: Entry, series_instance_uid: str) -> int:
    """How many images of a series were here when its study was finished; none of a series that came later."""
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


def request_again(folders: DataFolders, server: ServerFolders, closed: Iterable[ClosedStudy]) -> tuple[int, int]:
    """Put requests back into `active-scans` with a fresh time, never over one that is there.

    It is done between two passes, with their lock. Gives how many were put back, and how many were requested already.
    Raises UnusableError when a pass holds the lock for long, or when a request cannot be moved, after all others were.
    """
    back = there = 0
    problem: UnusableError | None = None
    lock = _locked(server)
    try:
        for one in closed:
            try:
                if put_back(one.path, folders.active_scans):
                    back += 1
                else:
                    there += 1
            except UnusableError as error:
                problem = problem or error
    finally:
        lock.release()
    if problem is not None:
        raise problem
    return back, there


def _locked(server: ServerFolders) -> Lock:
    """The lock of the passes, waited for. Raises UnusableError when one runs for too long."""
    make_folder(server.pids)
    lock = Lock()
    end = time.monotonic() + _LONGEST_WAIT_SECONDS
    while True:
        try:
            lock.file(server.lock)
            return lock
        except LockHeldError:
            if time.monotonic() > end:
                raise UnusableError(
                    f"nothing was requested: a pass is running and holds the lock {server.lock}; "
                    "try again when it has ended"
                ) from None
            time.sleep(_SECONDS_BETWEEN_TRIES)
