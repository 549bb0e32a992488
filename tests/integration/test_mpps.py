"""What a whole pass says and does about MPPS files (R20, R21)."""

import os

import pytest

from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.19"


def test_R21_an_unreadable_file_is_logged_once_and_no_name_that_may_be_a_patients(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    scanner = site.data / "scanner"
    for name in ("SECRET^JOHN", "SECRET^JANE", "MPPS.1.2.3"):
        (scanner / name).write_bytes(b"no DICOM")
    for _ in range(2):
        assert site.move().returncode == 5
    assert [message for message in site.messages() if "as an MPPS file" in message or "as MPPS files" in message] == [
        f"{scanner}/MPPS.1.2.3 cannot be read as an MPPS file and names none of the requested studies",
        f"2 files in {scanner} cannot be read as MPPS files and name none of the requested studies",
    ]
    assert "SECRET" not in site.log() + site.state_file.read_text()


def test_R21_a_file_that_cannot_be_looked_at_is_a_fault_and_its_procedure_goes_on(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    site.mpps(STUDY)
    (site.data / "scanner" / "SECRET^JOHN").symlink_to("x" * 300)  # a name that no file system takes
    report = site.report()
    assert [study["procedure"] for study in report["studies"]] == ["in progress"]
    done = site.move()
    assert done.returncode == 4
    fault = f"MPPS files cannot be read: 1 file in {site.data}/scanner: {os.strerror(36)}"
    assert any(fault in one["text"] for one in site.state()["faults"])
    assert "SECRET" not in site.log() + done.stderr + site.state_file.read_text()


@pytest.mark.parametrize(
    ("files", "message", "word"),
    [
        ([], "could not find {study} MPPS file in {data}/scanner/", "unknown"),
        ([True], "PerformedProcedureStepEndTime found 104500", "ended"),
        ([False], "no PerformedProcedureStepEndTime yet, still in progress", "in progress"),
        ([None], "no PerformedProcedureStepEndTime yet, still in progress", "in progress"),
        ([True, False], "no PerformedProcedureStepEndTime yet, still in progress", "in progress"),
    ],
)
def test_R20_R21_what_the_log_and_the_report_say(tmp_path, files, message, word):
    site = Site(tmp_path)
    site.request(STUDY)
    for number, ended in enumerate(files):
        site.mpps(STUDY, ended=ended, name=f"step{number}")
    assert [study["procedure"] for study in site.report()["studies"]] == [word]
    assert message.format(study=STUDY, data=site.data) in site.messages()
