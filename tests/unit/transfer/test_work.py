"""The work of a pass: what is requested, what is handed on, and what is kept of it however it ends (R7, R27, R29)."""

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.errors import ConfigurationError, Ended, UnusableError
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.rules.records import StudyMemory
from scanner_mover.site import requests
from scanner_mover.site.folders import STAGING_PREFIX, ServerFolders
from scanner_mover.site.requests import Request
from scanner_mover.site.state import load
from scanner_mover.transfer import keeping
from scanner_mover.transfer.faults import cut_short, fault
from scanner_mover.transfer.history import study_from_json
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.report import SeriesReport, StudyReport
from scanner_mover.transfer.work import Work
from tests.unit.transfer.works import SILENT, THREE, Works, full, known

ONE, TWO = "1.2.1", "1.2.2"


@pytest.fixture
def works(tmp_path, monkeypatch) -> Works:
    return Works(tmp_path, monkeypatch)


def raising(error: OSError) -> Callable[..., Any]:
    def fails(*about: object, **more: object) -> None:
        raise error

    return fails


# Whether anything is to be done


def test_without_a_request_nothing_is_done_and_what_was_known_of_studies_is_forgotten(works):
    frame = full(works.frame())
    done = works.run(frame)
    report = done.report
    assert report is not None and done == Work(report)
    assert (report.project, report.enabled, report.dry_run, report.studies) == ("ABCD", True, False, ())
    assert works.jobs == [] and works.lines == ["move enabled, start getScans"]
    assert known(frame) == ([], False, None)


def test_a_folder_of_requests_that_is_not_there_makes_nothing_forgotten(works):
    """Its disk may come back."""
    os.rmdir(works.folders.active_scans)
    frame = full(works.frame())
    assert works.run(frame).report is not None
    assert known(frame) == ([THREE], True, SILENT)


def test_R7_switched_off_requests_wait_and_what_is_known_of_them_stays(works):
    works.switch("0")
    works.request(ONE)
    frame = full(works.frame())
    done = works.run(frame)
    assert done.report is not None and not done.report.enabled and works.jobs == []
    assert works.lines == ["move disabled, start clearScans"] and known(frame) == ([THREE], True, SILENT)


def test_R7_a_study_that_is_named_is_retrieved_though_it_is_switched_off_and_nothing_moves(works):
    works.switch("0")
    done = works.run(studies=(ONE,))
    (job,) = works.jobs
    assert job.by_hand and not job.closes and job.requests == [Request(ONE)]
    assert done.report is not None and not done.report.enabled


def test_a_state_that_could_not_be_read_is_told_first_and_no_study_is_asked_for_at_once(works):
    works.request(ONE)
    frame = works.frame()
    frame.state_problem = "the state file is broken"
    works.run(frame)
    assert works.lines[:2] == ["the state file is broken", "move enabled, start getScans"]
    assert works.jobs[0].forgotten == {ONE}


def test_a_folder_that_lost_its_disk_ends_the_work_before_anything_is_removed(works):
    works.request(ONE)
    left = Path(works.server.pids, works.server.work_prefix + "x")
    left.write_text("")
    frame = works.frame()
    frame.state.own_disks = [works.folders.raw]
    with pytest.raises(UnusableError, match=f"{works.folders.raw} was on a disk of its own"):
        works.run(frame)
    assert works.jobs == [] and left.exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_R27_what_a_killed_pass_received_is_filed_without_a_request(works, dry_run):
    Path(works.folders.site, f"{STAGING_PREFIX}x").mkdir()
    works.run(dry_run=dry_run)
    assert [job.requests for job in works.jobs] == ([] if dry_run else [[]])


# What is requested


def test_requests_are_handed_on_the_oldest_first(works):
    for age, name in enumerate((ONE, TWO, THREE)):
        works.request(name, age=60.0 * age)
    done = works.run()
    (job,) = works.jobs
    assert [one.study_instance_uid for one in job.requests] == [THREE, TWO, ONE]
    assert job.closes and not job.by_hand and not job.dry_run
    assert job.unusable is None and not job.scanner_was_down and not job.forgotten
    assert job.progress is works.progress and works.shown == ["begin", "end"]
    assert done.requested == {ONE, TWO, THREE} and not done.missing and not done.sent


def test_studies_that_are_named_are_handed_on_once_and_no_others(works):
    """Those that are requested come first, with their files; only these count as requested."""
    path = works.request(TWO)
    works.request(THREE)
    done = works.run(studies=(ONE, TWO, ONE))
    (job,) = works.jobs
    assert [(one.study_instance_uid, one.files) for one in job.requests] == [(TWO, (path,)), (ONE, ())]
    assert job.by_hand and done.requested == {TWO}


def test_a_name_that_is_no_UID_is_told_once(works):
    works.request("notes.txt")
    first, second = works.frame(), works.frame()
    second.state = first.state
    for frame in (first, second):
        works.run(frame)
    line = f"1 file in {works.folders.active_scans} is left alone: its name is no StudyInstanceUID"
    assert [one for one in works.lines if "move enabled" not in one] == [line]


def test_when_nobody_can_see_what_is_requested_nothing_is_done_and_nothing_forgotten(works):
    os.rmdir(works.folders.active_scans)
    os.symlink("nowhere", works.folders.active_scans)
    frame = full(works.frame())
    assert works.run(frame) == Work() and works.jobs == []
    line = f"the folder {works.folders.active_scans} leads nowhere: is its disk mounted?"
    assert [str(one.cause) for one in frame.faults] == [line] and works.lines[-1] == line
    assert known(frame) == ([THREE], True, SILENT)


def test_when_only_some_requests_can_be_seen_those_are_done_and_no_study_is_forgotten(works, monkeypatch):
    monkeypatch.setattr(requests, "_MOST_LEVELS", 2)
    works.request(ONE)
    os.makedirs(os.path.join(works.folders.active_scans, "d", "d", "d"))
    frame = full(works.frame())
    done = works.run(frame)
    assert [one.study_instance_uid for one in works.jobs[0].requests] == [ONE]
    assert done.requested == {ONE, THREE} and done.missing and done.report is not None
    assert known(frame)[0] == [THREE] and len(frame.faults) == 1
    assert "lies more than 2 levels deep" in str(frame.faults[0].cause)


# What comes of it


def found(job: Job, findings: Findings) -> None:
    """Two studies, one of them finished, and something is wrong with the other."""
    one = SeriesReport("1", 2, 2, True, True, None)
    findings.reports += [
        StudyReport(ONE, Outcome.FINISHED, (one, one._replace(pulled=False)), Procedure.ENDED, None),
        StudyReport(TWO, Outcome.WAITING, (one,), Procedure.UNKNOWN, None),
    ]
    findings.faults.append(fault(cut_short(TWO, "cut")))
    findings.memory[TWO] = StudyMemory(error="cut")
    findings.moves_sent, findings.missing = 2, True
    findings.untested, findings.dropped = {"untested"}, {"dropped"}


def test_what_was_found_is_given_back_and_kept(works):
    works.request(ONE)
    works.request(TWO)
    works.handle = found
    frame = full(works.frame())
    done = works.run(frame)
    assert done.report is not None and [one.study_instance_uid for one in done.report.studies] == [ONE, TWO]
    assert (done.untested, done.dropped, done.sent, done.missing) == ({"untested"}, {"dropped"}, True, True)
    assert works.jobs[0].scanner_was_down
    assert list(frame.state.requests) == [TWO] and frame.state.moves_sent == 2
    assert [one.group for one in frame.faults] == [f"cut-short {TWO}"]
    words = "pass over 2 requests: 1 finished, 0 failed, 1 waiting, 0 error; 2 series retrieved"
    assert re.fullmatch(rf"{words} \(\d+\.\d s\)", works.lines[-1])


@pytest.mark.parametrize(
    "error", [UnusableError("no tools"), ConfigurationError("no key"), Ended(15), KeyError("ours")]
)
def test_however_it_ends_what_was_found_is_kept_and_the_working_folder_removed(works, error):
    def handle(job: Job, findings: Findings) -> None:
        found(job, findings)
        Path(job.scratch_folder, "folder").mkdir()
        Path(job.scratch_folder, "folder", "answer.dcm").write_text("")
        raise error

    works.request(TWO)
    works.handle = handle
    frame = works.frame()
    if isinstance(error, (UnusableError, ConfigurationError)):
        assert works.run(frame) == Work()
        assert frame.faults[1].cause is error and frame.faults[1].needs_requests
    else:
        with pytest.raises(type(error)):
            works.run(frame)
        assert len(frame.faults) == 1
    assert study_from_json(frame.state.requests[TWO]) == StudyMemory(error="cut")
    assert not any("pass over" in line for line in works.lines)
    assert os.listdir(works.server.pids) == [os.path.basename(works.server.state)]


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_working_folder_is_private_and_a_dry_run_has_it_elsewhere(works, dry_run):
    seen = []

    def handle(job: Job, findings: Findings) -> None:
        seen.append((os.stat(job.scratch_folder).st_mode & 0o777, os.listdir(job.scratch_folder)))

    works.request(ONE)
    works.handle = handle
    works.run(dry_run=dry_run)
    assert seen == [(0o700, [])]
    folder, name = os.path.split(works.jobs[0].scratch_folder)
    assert works.jobs[0].dry_run is dry_run
    assert name.startswith(works.server.work_prefix) and (folder == works.server.pids) is not dry_run
    assert not os.path.exists(works.jobs[0].scratch_folder)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_working_folder_that_cannot_be_made_is_a_fault(works, monkeypatch, dry_run):
    monkeypatch.setattr(tempfile, "mkdtemp", raising(OSError(28, "No space left on device")))
    works.request(ONE)
    frame = works.frame(dry_run=dry_run)
    assert works.run(frame) == Work() and works.jobs == []
    where = "the system's temporary folder" if dry_run else works.server.pids
    text = f"no working folder can be made in {where}: No space left on device"
    assert [str(one.cause) for one in frame.faults] == [text]


def test_R29_a_state_that_cannot_be_written_is_handed_on(works):
    Path(works.server.state).mkdir()
    works.request(ONE)
    works.run()
    assert works.jobs[0].unusable is not None and "cannot be written" in works.jobs[0].unusable


def test_R29_while_it_goes_on_the_state_is_kept_and_remembers_what_was_told(works, monkeypatch):
    def handle(job: Job, findings: Findings) -> None:
        findings.memory[ONE] = StudyMemory(error="half")
        assert [job.not_yet_reported("mpps", [path]) for _ in range(2)] == [[path], []]
        job.keep_state()
        state, _ = load(works.server.state)
        assert study_from_json(state.requests[ONE]) == StudyMemory(error="half") and state.running_since

    monkeypatch.setattr(keeping, "_PART_OF_THE_TIME", 1e9)
    path = works.request(ONE)
    works.handle = handle
    assert works.run().report is not None


# What was left


@pytest.mark.parametrize("dry_run", [False, True])
def test_R27_what_a_killed_pass_left_beside_the_lock_is_removed_and_nothing_else(works, tmp_path, dry_run):
    pids, prefix = Path(works.server.pids), works.server.work_prefix
    other = ServerFolders(str(tmp_path / "server"), "LAB").work_prefix
    kept = tmp_path / "kept"
    for folder in (kept, pids / f"{prefix}folder", pids / f"{other}folder"):
        folder.mkdir()
        (folder / "query1.dcm").write_text("")
    (pids / f"{prefix}file").write_text("")
    (pids / f"{prefix}link").symlink_to(kept)
    Path(works.server.ledger).write_text("")
    before = set(os.listdir(pids))
    works.run(dry_run=dry_run)
    mine = {f"{prefix}{what}" for what in ("folder", "file", "link")}
    assert set(os.listdir(pids)) == (before if dry_run else before - mine)
    assert (kept / "query1.dcm").exists()


def test_what_cannot_be_removed_ends_no_pass_but_a_folder_that_cannot_be_read_does(works, monkeypatch):
    Path(works.server.pids, works.server.work_prefix + "x").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", raising(PermissionError(1, "Operation not permitted")))
        assert works.run().report is not None
    os.rename(works.server.pids, works.server.pids + ".away")
    with pytest.raises(UnusableError, match=f"the folder {works.server.pids} cannot be read: No such file"):
        works.run()
