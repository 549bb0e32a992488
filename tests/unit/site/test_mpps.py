"""Which procedures have ended, by real MPPS files that the real dcmdump reads (R19 to R21)."""

import json
import os
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.rules import Procedure, procedure
from scanner_mover.site.mpps import Step, steps_of
from scanner_mover.site.mpps_cache import Index
from tests.support import objects
from tests.support.site import Site, real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.19"
LONGER = STUDY + "0"
OTHER = "1.2.826.0.1.3680043.10.1561.20"
END = "104500"


@pytest.fixture(scope="module")
def tools() -> Toolbox:
    return real_tools("dcmdump")


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "scanner").mkdir()
    return tmp_path / "scanner"


@pytest.fixture
def steps(tools, folder):
    """The steps that each of the studies has, as {study: {file: end time}}, and the files that count for none."""

    def steps(*studies: str) -> tuple[dict[str, dict[str, str | None]], list[str]]:
        found, ignored = steps_of(tools, str(folder), studies or (STUDY,), nothing_known(folder))
        return {uid: {step.file: step.end_time for step in of} for uid, of in found.items()}, ignored

    return steps


def nothing_known(folder: Path) -> Index:
    """An index that is kept nowhere."""
    return Index(None, str(folder))


def write(folder: Path, name: str = "step", study: str = STUDY, ended: bool | str | None = True, **more: bool) -> Path:
    return objects.mpps(folder / name, study_instance_uid=study, ended=ended, **more)


# R19


def test_R19_the_study_may_stand_in_the_sequence_or_at_the_top(steps, folder):
    write(folder, "in sequence")
    write(folder, "at top", scheduled_in_sequence=False)
    assert steps() == ({STUDY: {"in sequence": END, "at top": END}}, [])


def test_R19_a_uid_that_is_the_beginning_of_another_does_not_match(steps, folder):
    write(folder, study=LONGER)
    assert steps(STUDY) == ({}, [])
    assert steps(LONGER) == ({LONGER: {"step": END}}, [])


def test_R19_a_uid_that_begins_with_another_does_not_match(steps, folder):
    write(folder, study=STUDY)
    assert steps(LONGER) == ({}, [])


def test_R19_two_files_of_a_study_both_count(steps, folder):
    write(folder, "one", ended=True)
    write(folder, "two", ended=False)
    found, _ = steps()
    assert found == {STUDY: {"one": END, "two": None}}
    assert procedure(list(found[STUDY].values())) is Procedure.IN_PROGRESS


def test_R19_a_uid_in_another_place_of_the_file_does_not_count(steps, folder):
    path = write(folder, study=OTHER)
    step = pydicom.dcmread(path)
    reference = Dataset()
    reference.StudyInstanceUID = STUDY
    inner = Dataset()
    inner.ScheduledStepAttributesSequence = [reference]
    step.ReferencedStudySequence = [reference]
    step.PerformedSeriesSequence = [inner]
    step.ReferencedSOPInstanceUID = STUDY
    step.PatientComments = STUDY
    step.save_as(path)
    assert steps(STUDY, OTHER) == ({OTHER: {"step": END}}, [])


def test_R19_a_file_for_two_studies_counts_for_both(steps, folder):
    path = write(folder)
    step = pydicom.dcmread(path)
    second = Dataset()
    second.StudyInstanceUID = OTHER
    step.ScheduledStepAttributesSequence.append(second)
    step.save_as(path)
    assert steps(STUDY, OTHER)[0] == {STUDY: {"step": END}, OTHER: {"step": END}}


@pytest.mark.parametrize("study", ["1.2.3", "1.2.34"])
def test_R19_the_padding_of_an_odd_length_is_no_part_of_a_uid(steps, folder, study):
    write(folder, study=study)
    assert steps(study)[0] == {study: {"step": END}}


@pytest.mark.parametrize("syntax", ["+ti", "+tb"], ids=["implicit", "big endian"])
def test_R19_any_transfer_syntax_will_do(steps, folder, tmp_path, syntax):
    subprocess.run(["dcmconv", syntax, str(write(tmp_path)), str(folder / "step")], check=True)
    assert steps() == ({STUDY: {"step": END}}, [])


@pytest.mark.parametrize(
    "name", ["a b", "it's", "@list", "-v", "+P", "# dcmdump (1", "[x]", "$(touch pwned)", "é", "x: reading file:"]
)
def test_R19_any_name_of_a_file_will_do(steps, folder, name):
    write(folder, name)
    write(folder, "other", study=OTHER, ended=False)
    assert steps(STUDY, OTHER) == ({STUDY: {name: END}, OTHER: {"other": None}}, [])
    assert not (folder / "pwned").exists()


def test_R19_hidden_files_and_folders_are_no_steps_and_links_are(steps, folder, tmp_path):
    write(folder, ".hidden")
    write(folder / "folder", "inside")
    (folder / "link").symlink_to(write(tmp_path, "elsewhere"))
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe")
    assert steps() == ({STUDY: {"link": END}}, [])


def test_R19_more_files_than_one_call_takes(steps, folder, tmp_path):
    ended, running = write(tmp_path, "ended"), write(tmp_path, "running", ended=False)
    for number in range(1500):
        os.link(ended, folder / f"{number:04}")
    os.link(running, folder / "9999")
    found, ignored = steps()
    assert ignored == [] and len(found[STUDY]) == 1501
    assert {name for name, end in found[STUDY].items() if end is None} == {"9999"}


# R20


def test_R20_a_study_without_a_file_is_not_there(steps, folder):
    write(folder, study=OTHER)
    assert steps() == ({}, [])
    assert procedure([]) is Procedure.UNKNOWN


def test_R20_without_the_folder_no_study_has_a_file(tools, tmp_path):
    assert steps_of(tools, str(tmp_path / "none"), (STUDY,), nothing_known(tmp_path / "none")) == ({}, [])


# R21


@pytest.mark.filterwarnings("ignore:Invalid value for VR TM")
@pytest.mark.parametrize("ended", [None, False, "", " "])
def test_R21_an_end_time_that_is_missing_or_empty_is_none(steps, folder, ended):
    write(folder, ended=ended)
    assert steps() == ({STUDY: {"step": None}}, [])


@pytest.mark.parametrize("value", ["000000", "104500.123456", "10"])
def test_R21_any_value_is_an_end_time(steps, folder, value):
    write(folder, ended=value)
    assert steps() == ({STUDY: {"step": value}}, [])


def test_R21_an_end_time_in_another_place_is_none(steps, folder):
    path = write(folder, ended=None)
    step = pydicom.dcmread(path)
    step.ScheduledStepAttributesSequence[0].PerformedProcedureStepEndTime = END
    step.save_as(path)
    assert steps() == ({STUDY: {"step": None}}, [])


def without_its_last(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:-size])


def test_R21_a_file_that_is_cut_is_in_progress_though_its_end_time_can_be_read(steps, folder):
    path = write(folder, scheduled_in_sequence=False)
    step = pydicom.dcmread(path)
    # Later than the end time and the sequence.
    step.CommentsOnThePerformedProcedureStep = "scanned as planned"
    step.save_as(path)
    without_its_last(path, 5)
    found, ignored = steps()
    assert (found, ignored) == ({STUDY: {"step": None}}, [])


@pytest.mark.parametrize(
    "content",
    [
        b"study " + STUDY.encode(),
        STUDY.encode() + b"\n",
        b"[" + STUDY.encode() + b"]",
        b"\0" * 200 + STUDY.encode() + b"\0" * 9,
        b"\0" * 128 + b"DICM" + STUDY.encode(),
        b"<studyUid>" + STUDY.encode() + b"</studyUid>",
        LONGER.encode() + b" " + STUDY.encode(),
    ],
)
def test_R21_an_unreadable_file_counts_for_the_study_in_its_bytes(steps, folder, content):
    (folder / "step").write_bytes(content)
    assert steps() == ({STUDY: {"step": None}}, [])


@pytest.mark.parametrize("around", [(b"", b"0"), (b"", b".1"), (b"1.", b""), (b"1", b""), (b"0", b"0")])
def test_R19_R21_a_part_of_a_longer_uid_in_its_bytes_does_not_count(steps, folder, around):
    (folder / "step").write_bytes(b"x " + around[0] + STUDY.encode() + around[1] + b" x")
    assert steps() == ({}, [str(folder / "step")])


@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\xff" * 400, OTHER.encode()])
def test_R21_an_unreadable_file_with_none_of_the_studies_is_told_and_ignored(steps, folder, content):
    write(folder, "good")
    (folder / "bad").write_bytes(content)
    assert steps() == ({STUDY: {"good": END}}, [str(folder / "bad")])


def test_R21_a_file_of_nul_bytes_which_dcmdump_finds_good_is_told_too(steps, folder):
    (folder / "bad").write_bytes(b"\0" * 400)
    assert steps() == ({}, [str(folder / "bad")])


def test_R21_an_unreadable_file_beside_an_ended_one_keeps_the_study_in_progress(steps, folder):
    write(folder, "good")
    (folder / "bad").write_bytes(STUDY.encode())
    found, _ = steps()
    assert procedure(list(found[STUDY].values())) is Procedure.IN_PROGRESS


def test_R21_a_good_file_between_bad_ones_is_read(steps, folder):
    for name in ("a", "c"):
        (folder / name).write_bytes(b"no DICOM")
    write(folder, "b")
    write(folder, "d", study=OTHER, ended=False)
    found, ignored = steps(STUDY, OTHER)
    assert found == {STUDY: {"b": END}, OTHER: {"d": None}}
    assert ignored == [str(folder / "a"), str(folder / "c")]


@pytest.mark.parametrize("name", ["line\nbreak", "\udcff\udcfe"], ids=ascii)
def test_R21_a_running_step_whose_name_can_be_no_argument_is_not_overlooked(tools, folder, name):
    write(folder, "plain", ended=False).rename(folder / name)
    assert steps_of(tools, str(folder), (STUDY,), nothing_known(folder)) == ({STUDY: [Step(name, None)]}, [])


def test_R21_an_unreadable_file_is_logged_once(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    bad = site.data / "scanner" / "bad"
    bad.write_bytes(b"no DICOM")
    for _ in range(2):
        assert site.move().returncode == 5
    named = [message for message in site.messages() if str(bad) in message]
    assert len(named) == 1


def test_a_folder_that_cannot_be_read_is_named(tools, folder):
    (folder / "file").touch()
    with pytest.raises(UnusableError, match=r"the folder .*/file cannot be read: Not a directory"):
        steps_of(tools, str(folder / "file"), (STUDY,), nothing_known(folder / "file"))


# What is told of it


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


# What is remembered


@pytest.fixture
def remembered(tools, folder, tmp_path, monkeypatch):
    """As `steps`, with an index in a file; also gives which files dcmdump was given. It is three seconds later."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_000_000_000)
    given: list[str] = []

    class Watched(Toolbox):
        def run(self, name, arguments, **more):
            given.extend(argument for argument in arguments if argument.startswith("./"))
            return super().run(name, arguments, **more)

    def steps(*studies: str) -> tuple[dict[str, dict[str, str | None]], list[str]]:
        given.clear()
        index = Index(str(tmp_path / "index.json"), str(folder))
        found, _ = steps_of(Watched(tools.paths, tools.environment), str(folder), studies or (STUDY,), index)
        index.save(str(tmp_path / "part"))
        assert not (tmp_path / "part").exists()
        return {uid: {step.file: step.end_time for step in of} for uid, of in found.items()}, sorted(given)

    return steps


def test_R19_a_file_that_did_not_change_is_not_read_again(remembered, folder):
    write(folder, "one")
    write(folder, "two", study=OTHER, ended=False)
    assert remembered() == ({STUDY: {"one": END}}, ["./one", "./two"])
    assert remembered() == ({STUDY: {"one": END}}, [])
    assert remembered(OTHER) == ({OTHER: {"two": None}}, [])


def test_R21_one_that_changed_is_read_again_also_with_its_old_size_and_time(remembered, folder):
    path = write(folder, "step", ended="104500")
    remembered()
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"104500", b"235959"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert remembered() == ({STUDY: {"step": "235959"}}, ["./step"])


def test_R21_one_that_replaced_it_is_read_and_one_that_went_is_forgotten(remembered, folder, tmp_path):
    write(folder, "step", ended=False)
    assert remembered() == ({STUDY: {"step": None}}, ["./step"])
    os.replace(write(tmp_path, "new"), folder / "step")
    assert remembered() == ({STUDY: {"step": END}}, ["./step"])
    (folder / "step").unlink()
    assert remembered() == ({}, [])
    assert json.loads((tmp_path / "index.json").read_text())["files"] == {}


def test_R21_one_that_cannot_be_read_is_looked_at_in_every_pass(remembered, folder):
    (folder / "bad").write_bytes(STUDY.encode())
    for _ in range(2):
        assert remembered() == ({STUDY: {"bad": None}}, ["./bad"])
    assert remembered(OTHER) == ({}, ["./bad"])


def test_one_that_was_just_written_is_not_remembered(remembered, folder, monkeypatch):
    monkeypatch.undo()
    write(folder, "step")
    for _ in range(2):
        assert remembered() == ({STUDY: {"step": END}}, ["./step"])


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 0}', '{"version": 1, "folder": "/x", "files": {}}', "[" * 100_000, "\0" * 50],
)
def test_an_index_that_is_broken_is_made_anew(remembered, folder, tmp_path, text):
    write(folder, "step")
    remembered()
    (tmp_path / "index.json").write_text(text)
    assert remembered() == ({STUDY: {"step": END}}, ["./step"])
    assert remembered() == ({STUDY: {"step": END}}, [])


@pytest.mark.parametrize("entry", [None, [], "x", [1, "1", []], ["x", 1, []], ["x", "1", [1]], ["x", "1", "1.2"]])
def test_an_entry_that_is_broken_is_read_again(remembered, folder, tmp_path, entry):
    write(folder, "step")
    remembered()
    index = json.loads((tmp_path / "index.json").read_text())
    index["files"] = dict.fromkeys(index["files"], entry)
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert remembered() == ({STUDY: {"step": END}}, ["./step"])


def test_the_index_of_another_folder_is_not_used(remembered, folder, tmp_path):
    write(folder, "step")
    remembered()
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(index | {"folder": str(tmp_path)}))
    assert remembered() == ({STUDY: {"step": END}}, ["./step"])


def test_no_name_of_a_file_is_kept(remembered, folder, tmp_path):
    write(folder, "Family^Given")
    remembered()
    assert "Family" not in (tmp_path / "index.json").read_text()
    assert (tmp_path / "index.json").stat().st_size > 100


# What stands beside good files


def test_R19_a_link_in_a_circle_does_not_hide_the_other_files(steps, folder):
    write(folder, "good")
    (folder / "loop").symlink_to("loop")
    assert steps() == ({STUDY: {"good": END}}, [])


def test_R19_a_name_that_dcmtk_says_for_a_missing_dictionary_is_a_name(steps, folder):
    write(folder, "no data dictionary loaded")
    write(folder, "W: Data dictionary missing")
    found, _ = steps()
    assert found == {STUDY: {"no data dictionary loaded": END, "W: Data dictionary missing": END}}


def test_R21_a_file_that_may_not_be_read_counts_for_the_study_that_it_is_named_after(folder, tools, monkeypatch):
    write(folder, "ended")
    path = write(folder, f"{STUDY}.second", ended=False)
    # As it is for a user who is not root; root may read everything.
    real = open

    def refusing(file, *arguments, **more):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(file, *arguments, **more)

    path.write_bytes(b"no DICOM")
    monkeypatch.setattr("builtins.open", refusing)
    found, ignored = steps_of(tools, str(folder), (STUDY,), nothing_known(folder))
    assert ignored == []
    assert [step.end_time for step in found[STUDY]] == [None, END]
