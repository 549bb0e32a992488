"""Which closed studies the audit looks at, and what it finds: by a scanner that says what a test does (R39, R40)."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.rules.records import ReportedSeries
from scanner_mover.scanner.inventory import ImageAnswer, SeriesAnswer
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.ledger import Entry, SeriesCounts
from scanner_mover.transfer import audit
from scanner_mover.transfer.audit import AuditedSeries, AuditedStudy, ClosedStudy, closed_studies
from tests.unit.transfer.made import SERIES, SETTINGS, STUDY, have, uids

UIDS = ["1.2.9", "1.2.10", "1.2.11"]


@pytest.fixture
def folders(tmp_path) -> DataFolders:
    found = DataFolders(str(tmp_path / "data"))
    for path in (found.active_scans, found.finished_scans, found.failed_scans):
        os.makedirs(path)
    return found


def put(folder: str, uid: str, content: str = "") -> str:
    path = os.path.join(folder, uid)
    with open(path, "w") as file:
        file.write(content)
    return path


def entry(uid: str, outcome: Outcome = Outcome.FINISHED) -> Entry:
    return Entry(uid, "2026-01-31T10:15:00+01:00", outcome)


def test_R39_requests_in_both_folders_are_looked_at_and_nothing_else(folders):
    paths = [put(folders.finished_scans, UIDS[0]), put(folders.failed_scans, UIDS[1])]
    put(folders.finished_scans, "notes.txt")
    os.mkdir(os.path.join(folders.finished_scans, UIDS[2]))
    os.symlink(paths[0], os.path.join(folders.failed_scans, UIDS[2]))
    assert closed_studies(folders, {}, 0.0) == [ClosedStudy(UIDS[0], paths[0]), ClosedStudy(UIDS[1], paths[1])]


def test_R39_the_ledger_counts_only_for_a_study_that_lies_where_it_says(folders):
    entries = {UIDS[0]: entry(UIDS[0]), UIDS[1]: entry(UIDS[1]), UIDS[2]: entry(UIDS[2], Outcome.FAILED)}
    put(folders.finished_scans, UIDS[0])
    put(folders.failed_scans, UIDS[1])
    put(folders.finished_scans, UIDS[2])
    found = {one.study_instance_uid: one.finished for one in closed_studies(folders, entries, 0.0)}
    assert found == {UIDS[0]: entries[UIDS[0]], UIDS[1]: None, UIDS[2]: None}


def test_only_what_was_closed_since_is_looked_at(folders):
    put(folders.finished_scans, UIDS[0])
    assert len(closed_studies(folders, {}, time.time() - 60)) == 1
    assert closed_studies(folders, {}, time.time() + 60) == []


def test_nothing_closed_needs_no_tool(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(audit.audit(None, [], str(tmp_path))) == []  # type: ignore[arg-type]


# What it finds


class Scanner:
    """Says of each study what a test does; `asked` has what it was asked for, and with how many tries."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.settings = SETTINGS._replace(data_dir=str(root / "data"), retries=3)
        self.says: dict[str, SeriesAnswer] = {}
        self.lists: dict[str, ImageAnswer] = {}
        self.asked: list[list[str]] = []
        patch.setattr(audit, "find_tools", lambda: None)
        patch.setattr(audit, "Inventory", self._inventory)

    def audit(self, *closed: ClosedStudy) -> list[AuditedStudy]:
        return list(audit.audit(self.settings, closed, str(self.root)))

    def one(self, *finished: SeriesCounts) -> AuditedStudy:
        """The study that was closed, with these counts if we finished it."""
        entry = Entry(STUDY, "then", Outcome.FINISHED, series=finished) if finished else None
        (found,) = self.audit(ClosedStudy(STUDY, "path", entry))
        return found

    def series(self, study_instance_uids: Sequence[str]) -> dict[str, SeriesAnswer]:
        self.asked.append(list(study_instance_uids))
        return {uid: self.says.get(uid, SeriesAnswer()) for uid in study_instance_uids}

    def images(self, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ImageAnswer]:
        self.asked.append([series for _, series in places])
        return {place: self.lists.get(place[1], ImageAnswer()) for place in places}

    def _inventory(self, tools: Any, settings: Any, files: Any, retries: int, log: Any) -> "Scanner":
        self.asked.append([f"{retries} retries"])
        return self


@pytest.fixture
def scanner(tmp_path, monkeypatch) -> Scanner:
    return Scanner(tmp_path, monkeypatch)


def listing(names: Sequence[str]) -> ImageAnswer:
    return ImageAnswer(frozenset(names), len(names))


@pytest.mark.parametrize(
    ("number", "listed", "here", "found"),
    [
        (3, uids(3), uids(3), (3, 3, 0)),
        (3, uids(3), uids(2), (3, 2, 1)),
        (3, uids(3), [], (3, 0, 3)),
        (3, uids(3), [*uids(2), "1.2.3"], (3, 3, 1)),
        (3, uids(3), ["a", "b", "c"], (3, 3, 0)),
        (3, uids(3), ["a", "b"], (3, 2, 1)),
        (3, [], uids(2), (3, 2, 1)),
        (None, uids(3), uids(2), (3, 2, 1)),
        (None, uids(2), uids(3), (2, 3, 0)),
        (None, [], [], (None, 0, 0)),
    ],
)
def test_R39_a_study_that_we_did_not_finish_is_compared_with_the_images_that_are_here(
    scanner, tmp_path, number, listed, here, found
):
    """In the order: how many the scanner expects, how many are here, how many are missing."""
    have(tmp_path, here)
    scanner.says[STUDY] = SeriesAnswer((ReportedSeries(SERIES, number),))
    scanner.lists[SERIES] = listing(listed)
    study = scanner.one()
    assert study.series == (AuditedSeries(SERIES, *found),) and study.missing == found[2]
    assert study.on_scanner and not study.lost and study.failure is None
    assert scanner.asked == [["3 retries"], [STUDY], [SERIES]]


@pytest.mark.parametrize(
    ("number", "listed", "had", "here", "found", "is_listed"),
    [
        (3, uids(3), 3, [], (3, 3, 0), False),
        (2, uids(2), 3, [], (2, 3, 0), False),
        (5, uids(5), 3, [], (5, 3, 2), True),
        (5, uids(5), 3, uids(3), (5, 3, 2), True),
        (5, uids(5), 3, uids(5), (5, 5, 0), True),
        (None, uids(3), 3, [], (3, 3, 0), True),
        (None, uids(5), 3, [], (5, 3, 2), True),
        (2, uids(2), None, [], (2, 0, 2), True),
    ],
    ids=["all", "fewer", "late", "late, here", "late, all here", "no count", "no count, late", "a late series"],
)
def test_R39_a_study_that_we_finished_is_compared_with_what_we_had_then(
    scanner, tmp_path, number, listed, had, here, found, is_listed
):
    """What a site cleaned up is not missing, and of what is unchanged nothing is listed."""
    have(tmp_path, here)
    scanner.says[STUDY] = SeriesAnswer((ReportedSeries(SERIES, number),))
    scanner.lists[SERIES] = listing(listed)
    study = scanner.one(SeriesCounts("1.2.3" if had is None else SERIES, had, had or 9))
    assert study.series == (AuditedSeries(SERIES, *found),) and not study.lost
    assert scanner.asked[-1] == ([SERIES] if is_listed else [])


def test_R40_only_series_that_are_kept_are_compared_in_the_order_of_their_numbers(scanner):
    scanner.settings = scanner.settings._replace(modalities=("MR",))
    numbers = [(f"{STUDY}.10", "MR"), (f"{STUDY}.9", "MR"), (f"{STUDY}.8", "OT")]
    scanner.says[STUDY] = SeriesAnswer(tuple(ReportedSeries(uid, 1, modality=modality) for uid, modality in numbers))
    study = scanner.one()
    assert [one.series_instance_uid for one in study.series] == [f"{STUDY}.9", f"{STUDY}.10"] == scanner.asked[-1]
    assert study.missing == 2


OFF = Failure(Kind.UNREACHABLE, "Connection refused")
NO = Failure(Kind.REFUSED, "Failed: UnableToProcess")


@pytest.mark.parametrize(
    ("failure", "list_failure", "told"), [(OFF, None, OFF), (None, OFF, OFF), (None, NO, None), (NO, None, NO)]
)
def test_what_the_scanner_failed_at_is_told_but_for_a_level_that_it_does_not_have(
    scanner, tmp_path, failure, list_failure, told
):
    """Of a scanner that lists no images at all the counts decide."""
    have(tmp_path, uids(1))
    scanner.says = {STUDY: SeriesAnswer((ReportedSeries(SERIES, 2),), failure), "1.2.3": SeriesAnswer()}
    scanner.lists[SERIES] = ImageAnswer(failure=list_failure)
    study, other = scanner.audit(ClosedStudy(STUDY, "path"), ClosedStudy("1.2.3", "other"))
    assert study.failure == told and other.failure is None
    assert list_failure is None or study.series == (AuditedSeries(SERIES, 2, 1, 1),)


@pytest.mark.parametrize(
    ("answer", "is_finished", "is_here", "lost"),
    [
        (SeriesAnswer(), False, False, True),
        (SeriesAnswer(), True, False, False),
        (SeriesAnswer(), False, True, False),
        (SeriesAnswer(failure=OFF), False, False, False),
        (SeriesAnswer((ReportedSeries(SERIES, 1, modality="OT"),)), False, False, False),
    ],
)
def test_R39_a_study_that_neither_the_scanner_nor_this_server_has_is_lost(
    scanner, tmp_path, answer, is_finished, is_here, lost
):
    have(tmp_path, uids(1) if is_here else [])
    scanner.settings = scanner.settings._replace(modalities=("MR",))
    scanner.says[STUDY] = answer
    study = scanner.one(*[SeriesCounts(SERIES, 1, 1)] * is_finished)
    assert study.lost is lost and study.on_scanner is bool(answer.series)
    assert study.series == () and study.missing == 0


def test_a_study_has_images_also_where_a_file_lies_in_the_place_of_a_folder(scanner, tmp_path):
    raw = Path(scanner.settings.data_dir, "site", "raw")
    raw.mkdir(parents=True)
    (raw / STUDY).write_text("")
    assert scanner.one().lost
    (raw / STUDY).unlink()
    (raw / STUDY).symlink_to(STUDY)
    with pytest.raises(UnusableError, match=f"the folder {raw / STUDY} cannot be read: Too many levels"):
        scanner.one()


def test_what_is_known_of_some_studies_is_given_before_the_next_ones_are_asked_for(scanner):
    closed = [ClosedStudy(f"1.2.{number}", "path") for number in range(51)]
    found = audit.audit(scanner.settings, closed, str(scanner.root))
    assert [next(found).closed for _ in range(50)] == closed[:50]
    assert scanner.asked[1:] == [[one.study_instance_uid for one in closed[:50]], []]
    assert [one.closed for one in found] == closed[50:] and scanner.asked[3:] == [["1.2.50"], []]


@pytest.mark.parametrize("failure", [None, OFF])
def test_the_JSON_of_a_study(failure):
    series = (AuditedSeries(SERIES, 3, 1, 2), AuditedSeries(f"{SERIES}.2", None, 0, 0))
    assert AuditedStudy(ClosedStudy(STUDY, "path"), series, failure, True, False).to_json() == {
        "study": STUDY,
        "request": "path",
        "missing": 2,
        "on_scanner": True,
        "lost": False,
        "series": [
            {"series": SERIES, "expected": 3, "received": 1, "missing": 2},
            {"series": f"{SERIES}.2", "expected": None, "received": 0, "missing": 0},
        ],
        "error": None if failure is None else failure.text,
    }
