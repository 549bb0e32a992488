"""The MPPS files of a pass: what is wrong with them is told once, and closes nothing (R19 to R21)."""

import pytest

from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.site import mpps
from scanner_mover.site.mpps import MppsFiles
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.steps import Steps
from tests.unit.transfer.made import ENDED, STUDY, make_job, request

OTHER = "1.2.4"


@pytest.fixture
def job(tmp_path) -> Job:
    request(tmp_path)
    return make_job(tmp_path, lines(tmp_path))


LINES: list[str] = []


def lines(tmp_path) -> list[str]:
    LINES.clear()
    return LINES


def steps(job: Job, findings: Findings, monkeypatch, *answers: MppsFiles | UnusableError) -> Steps:
    waiting = list(answers)

    def read_steps(tools, folder, uids, cache):
        answer = waiting.pop(0)
        if isinstance(answer, UnusableError):
            raise answer
        return answer

    monkeypatch.setattr(mpps, "read_steps", read_steps)
    return Steps(job, Toolbox({}, {}), findings)


def test_the_files_of_each_study(job, monkeypatch):
    found = steps(job, Findings({}), monkeypatch, *[MppsFiles({STUDY: (ENDED,)})] * 3)
    assert found.of_all() == {STUDY: (ENDED,)}
    assert found.of(STUDY) == (ENDED,)
    assert found.of(OTHER) == ()


def test_R21_when_the_folder_cannot_be_read_no_procedure_counts_as_ended(job, monkeypatch):
    findings = Findings({})
    found = steps(job, findings, monkeypatch, *[UnusableError("no folder")] * 2)
    assert [one.readable for one in found.of_all()[STUDY]] == [False]
    assert [one.readable for one in found.of(OTHER)] == [False]
    assert len(findings.faults) == 1


def test_a_fault_is_told_once_though_the_files_are_read_before_each_close(job, monkeypatch):
    """The second text names other files: it is the same trouble all the same."""
    findings = Findings({})
    texts = ["MPPS cannot be read: a, b", "MPPS cannot be read: b"]
    answers = [MppsFiles({}, faults=(UnusableError(text),)) for text in texts]
    found = steps(job, findings, monkeypatch, *answers)
    found.of_all()
    found.of(STUDY)
    assert [fault.content for fault in findings.faults] == texts[:1]


def test_trouble_that_begins_later_is_told(job, monkeypatch):
    findings = Findings({})
    found = steps(job, findings, monkeypatch, MppsFiles({}), UnusableError("no folder"))
    found.of_all()
    assert findings.faults == []
    found.of(STUDY)
    assert len(findings.faults) == 1


def test_files_that_are_no_MPPS_files_are_logged_when_the_pass_begins(job, monkeypatch):
    found = steps(job, Findings({}), monkeypatch, *[MppsFiles({}, unreadable=("x/1.2.9",))] * 2)
    found.of_all()
    found.of(STUDY)
    assert len(LINES) == 1 and "cannot be read as an MPPS file" in LINES[0]
