"""Which closed studies the audit looks at; no scanner is asked here (R39)."""

import os
import time

import pytest

from scanner_mover.rules.outcomes import Outcome
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.ledger import Entry
from scanner_mover.transfer import audit
from scanner_mover.transfer.audit import ClosedStudy, closed_studies

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
