"""What MPPS files say, by real ones that the real dcmdump reads (R19 to R21)."""

import errno
import io
import json
import os
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from scanner_mover import clock
from scanner_mover.dcmtk import dcmdump
from scanner_mover.dcmtk.dcmdump import Dump, Unread
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.moment import Moment
from scanner_mover.site import mpps
from scanner_mover.site.mpps import MppsFiles, Step, read_steps, unreadable_lines
from scanner_mover.site.mpps_cache import Cache
from tests.support import objects
from tests.support.site import real_tools
from tests.support.users import no_root, open_folder

__all__ = ["open_folder"]

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
        found = read_steps(tools, str(folder), studies or (STUDY,), nothing_known(folder))
        assert found.faults == ()
        return end_times(found), list(found.unreadable)

    return steps


def nothing_known(folder: Path) -> Cache:
    """A cache that is kept nowhere."""
    return Cache(None, str(folder))


def end_times(found: MppsFiles) -> dict[str, dict[str, str | None]]:
    return {uid: {step.file: step.end_time for step in of} for uid, of in found.steps.items()}


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


def test_R19_any_transfer_syntax_will_do(steps, folder, tmp_path):
    """Also with sequences, one in the other, that the small dictionary does not have."""
    path = write(tmp_path)
    step, series, image = pydicom.dcmread(path), Dataset(), Dataset()
    image.ReferencedSOPInstanceUID = "1.2.3"
    series.ReferencedImageSequence = [image, image]
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    series.SeriesInstanceUID = "1.2.4"
    step.PerformedSeriesSequence = [series, series]
    step.ProcedureCodeSequence = [Dataset()]
    step.add_new(0x00091010, "LO", "a private value")
    step.save_as(path)
    ways = {
        f"{syntax}, {lengths} lengths": [f"+t{syntax[0]}", {"explicit": "+e", "undefined": "-e"}[lengths]]
        for syntax in ("implicit", "big", "explicit", "deflated")
        for lengths in ("explicit", "undefined")
    }
    for name, options in ways.items():
        subprocess.run(["dcmconv", *options, str(path), str(folder / name)], check=True)
    assert len(ways) == 8
    assert steps() == ({STUDY: dict.fromkeys(ways, END)}, [])


def test_R19_any_name_of_a_file_will_do(steps, folder):
    names = ["a b", "it's", "@list", "-v", "+P", "# dcmdump (1", "[x]", "$(touch pwned)", "é", "x: reading file:"]
    for name in names:
        write(folder, name)
    write(folder, "other", study=OTHER, ended=False)
    assert steps(STUDY, OTHER) == ({STUDY: dict.fromkeys(names, END), OTHER: {"other": None}}, [])
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


def test_R20_without_the_folder_no_study_has_a_file(tools, tmp_path):
    assert read_steps(tools, str(tmp_path / "none"), (STUDY,), nothing_known(tmp_path / "none")) == MppsFiles({})


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


def test_R21_an_unreadable_file_beside_an_ended_one_is_a_step_too(steps, folder):
    write(folder, "good")
    (folder / "bad").write_bytes(STUDY.encode())
    assert steps() == ({STUDY: {"good": END, "bad": None}}, [])


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
    found = read_steps(tools, str(folder), (STUDY,), nothing_known(folder))
    assert found == MppsFiles({STUDY: (Step(name, readable=False),)})


def test_a_folder_that_cannot_be_read_is_named(tools, folder):
    (folder / "file").touch()
    with pytest.raises(UnusableError, match=r"the folder .*/file cannot be read: Not a directory"):
        read_steps(tools, str(folder / "file"), (STUDY,), nothing_known(folder / "file"))


# What is remembered


@pytest.fixture
def remembered(tools, folder, tmp_path, monkeypatch):
    """As `steps`, with a cache in a file; also gives which files dcmdump was given. It is three seconds later."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_000_000_000)
    given: list[str] = []

    class Watched(Toolbox):
        def run(self, name, arguments, **more):
            given.extend(argument for argument in arguments if argument.startswith("./"))
            return super().run(name, arguments, **more)

    def steps(*studies: str) -> tuple[dict[str, dict[str, str | None]], list[str]]:
        given.clear()
        cache = Cache(str(tmp_path / "index.json"), str(folder))
        found = read_steps(Watched(tools.paths, tools.environment), str(folder), studies or (STUDY,), cache)
        cache.save(str(tmp_path / "part"))
        assert not (tmp_path / "part").exists()
        return end_times(found), sorted(given)

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


def test_a_cache_that_is_damaged_is_made_anew(remembered, folder, tmp_path):
    write(folder, "step")
    remembered()
    damaged = ["", "{", "[]", "null", '{"version": 0}', '{"version": 2, "folder": "/x", "files": {}}']
    for text in [*damaged, "[" * 100_000, "\0" * 50]:
        (tmp_path / "index.json").write_text(text)
        assert remembered() == ({STUDY: {"step": END}}, ["./step"]), text[:50]
        assert remembered() == ({STUDY: {"step": END}}, []), text[:50]


def test_an_entry_that_is_damaged_is_read_again(remembered, folder, tmp_path):
    entries: list[object] = [
        *[None, [], "x", ["x"], ["x", 1], ["x", "y"], ["x", "1", "1", "1", [1]], ["x", "1", "1", "1", "1.2"]],
        *[[1, "1", "1", "1", []], ["x", 1, "1", "1", []], ["x", "1", 1, "1", []], ["x", "1", "1", 1, []]],
    ]
    names = [f"step{number}" for number in range(len(entries))]
    for name in names:
        write(folder, name)
    remembered()
    index = json.loads((tmp_path / "index.json").read_text())
    index["files"] = dict(zip(index["files"], entries, strict=True))
    (tmp_path / "index.json").write_text(json.dumps(index))
    found, read = remembered()
    assert found == {STUDY: dict.fromkeys(names, END)}
    assert sorted(read) == sorted(f"./{name}" for name in names)


def test_the_cache_of_another_folder_is_not_used(remembered, folder, tmp_path):
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


def test_R19_a_name_that_dcmtk_says_for_a_missing_dictionary_is_a_name(steps, folder):
    write(folder, "no data dictionary loaded")
    write(folder, "W: Data dictionary missing")
    found, _ = steps()
    assert found == {STUDY: {"no data dictionary loaded": END, "W: Data dictionary missing": END}}


# What is read of a step


def test_R21_the_status_and_the_end_time_are_given_as_they_stand(tools, folder):
    path = write(folder, "MPPS.1.2.3", ended=False)
    data = pydicom.dcmread(path)
    found = read_steps(tools, str(folder), (STUDY,), nothing_known(folder))
    step = Step("MPPS.1.2.3", data.SOPInstanceUID, "IN PROGRESS", None, True)
    assert found == MppsFiles({STUDY: (step,)})
    data.PerformedProcedureStepStatus = "DISCONTINUED"
    data.PerformedProcedureStepEndTime = "101112"
    data.save_as(path)
    found = read_steps(tools, str(folder), (STUDY,), nothing_known(folder))
    assert found.steps[STUDY][0].status == "DISCONTINUED"
    assert found.steps[STUDY][0].end_time == "101112"


def test_R21_a_step_without_status_and_uid_has_none(tools, folder):
    path = write(folder, ended=None)
    data = pydicom.dcmread(path)
    del data.PerformedProcedureStepStatus, data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)
    step = read_steps(tools, str(folder), (STUDY,), nothing_known(folder)).steps[STUDY][0]
    assert (step.status, step.end_time, step.readable) == (None, None, True)
    assert step.sop_instance_uid == data.file_meta.MediaStorageSOPInstanceUID


@pytest.mark.parametrize(
    ("file", "uid", "name"),
    [
        ("MPPS.1.2.3", "1.2.4", "MPPS.1.2.3"),
        ("SECRET^JOHN", "1.2.4", "1.2.4"),
        ("SECRET^JOHN", "not a UID", "an MPPS file"),
        ("SECRET^JOHN", None, "an MPPS file"),
    ],
)
def test_R21_the_name_of_a_step_that_may_be_shown(file, uid, name):
    assert Step(file, uid).name == name


def test_R21_what_the_log_says_about_files_that_are_none():
    assert unreadable_lines("/d", ["/d/SECRET^JOHN", "/d/x", "/d/MPPS.1.2.3"]) == [
        "/d/MPPS.1.2.3 cannot be read as an MPPS file and names none of the requested studies",
        "2 files in /d cannot be read as MPPS files and name none of the requested studies",
    ]


# What cannot be looked at


def unreadable(*files: str) -> tuple[Step, ...]:
    return tuple(Step(file, readable=False) for file in files)


def failing(monkeypatch, name: str, number: int, *functions: str) -> None:
    """Each of FUNCTIONS of `os` fails with the error NUMBER for the file NAME."""
    for function in functions:
        real = getattr(os, function)

        def fail(path, *arguments, real=real, **more):
            if str(path).endswith(f"/{name}"):
                raise OSError(number, os.strerror(number), path)
            return real(path, *arguments, **more)

        monkeypatch.setattr(os, function, fail)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EACCES, errno.EOVERFLOW])
def test_R21_a_file_that_cannot_be_looked_at_is_an_open_step_of_every_study(tools, folder, monkeypatch, number):
    write(folder, "ended")
    write(folder, "running", ended=False)
    failing(monkeypatch, "running", number, "stat")
    found = read_steps(tools, str(folder), (STUDY, OTHER), nothing_known(folder))
    assert {uid: [step.readable for step in of] for uid, of in found.steps.items()} == {
        STUDY: [True, False],
        OTHER: [False],
    }
    assert [str(fault) for fault in found.faults] == [
        f"MPPS files cannot be read: 1 file in {folder}: {os.strerror(number)}; until they can, their studies count "
        "as in progress"
    ]


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_R21_so_is_one_that_cannot_be_opened(tools, folder, monkeypatch, number):
    (folder / "running").write_bytes(b"no DICOM")
    failing(monkeypatch, "running", number, "open")
    found = read_steps(tools, str(folder), (STUDY,), nothing_known(folder))
    assert (found.steps, len(found.faults), found.unreadable) == ({STUDY: unreadable("running")}, 1, ())


def test_R21_so_is_one_that_cannot_be_read_to_its_end(tools, folder, monkeypatch):
    (folder / "running").write_bytes(b"no DICOM")

    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(mpps, "open_regular", lambda path: Broken())
    found = read_steps(tools, str(folder), (STUDY,), nothing_known(folder))
    assert (found.steps, len(found.faults)) == ({STUDY: unreadable("running")}, 1)


def test_R21_one_whose_name_holds_a_requested_study_is_about_that_one(tools, folder, monkeypatch):
    write(folder, f"MPPS.{STUDY}")
    failing(monkeypatch, f"MPPS.{STUDY}", errno.EIO, "stat")
    found = read_steps(tools, str(folder), (STUDY, OTHER, LONGER), nothing_known(folder))
    assert found.steps == {STUDY: unreadable(f"MPPS.{STUDY}")}
    assert f"{folder}/MPPS.{STUDY}: Input/output error" in str(found.faults[0])


def test_R21_a_link_into_a_folder_that_our_user_may_not_enter(tools, open_folder):
    (open_folder / "scanner").mkdir()
    (open_folder / "closed").mkdir()
    write(open_folder / "closed", "running", ended=False)
    write(open_folder / "scanner", "ended").chmod(0o644)
    (open_folder / "scanner" / "running").symlink_to("../closed/running")
    (open_folder / "closed").chmod(0)
    with no_root():
        found = read_steps(tools, str(open_folder / "scanner"), (STUDY,), nothing_known(open_folder))
    assert [(step.file, step.readable) for step in found.steps[STUDY]] == [("ended", True), ("running", False)]
    assert "Permission denied" in str(found.faults[0])


def test_R21_a_link_that_leads_in_a_circle_may_have_been_a_step(tools, folder):
    write(folder, "ended")
    (folder / "running").symlink_to("running")
    (folder / f"MPPS.{OTHER}").symlink_to(f"MPPS.{OTHER}")
    found = read_steps(tools, str(folder), (STUDY, OTHER), nothing_known(folder))
    assert {uid: [(step.file, step.readable) for step in of] for uid, of in found.steps.items()} == {
        STUDY: [("ended", True), ("running", False)],
        OTHER: [(f"MPPS.{OTHER}", False), ("running", False)],
    }
    assert os.strerror(errno.ELOOP) in str(found.faults[0]) and len(found.faults) == 1


def test_R21_a_file_that_our_user_may_not_read(tools, open_folder):
    (open_folder / "scanner").mkdir()
    write(open_folder / "scanner", "running", ended=False).chmod(0o200)
    write(open_folder / "scanner", f"{OTHER}.mpps", study=OTHER, ended=False).chmod(0o200)
    with no_root():
        found = read_steps(tools, str(open_folder / "scanner"), (STUDY, OTHER), nothing_known(open_folder))
    assert found.steps == {STUDY: unreadable("running"), OTHER: unreadable(f"{OTHER}.mpps", "running")}
    assert len(found.faults) == 1 and found.unreadable == ()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR])
def test_R20_only_what_is_not_there_is_absent(tools, folder, monkeypatch, number):
    write(folder, "gone")
    failing(monkeypatch, "gone", number, "stat")
    assert read_steps(tools, str(folder), (STUDY,), nothing_known(folder)) == MppsFiles({})


def test_R20_a_file_that_was_taken_away_before_it_was_read_is_absent(tools, folder, monkeypatch):
    (folder / "gone").write_bytes(STUDY.encode())
    failing(monkeypatch, "gone", errno.ENOENT, "open")
    assert read_steps(tools, str(folder), (STUDY,), nothing_known(folder)) == MppsFiles({})


def test_R20_a_folder_that_is_a_link_to_a_disk_that_is_not_there_is_named(tools, tmp_path):
    (tmp_path / "scanner").symlink_to(tmp_path / "disk" / "scanner")
    with pytest.raises(UnusableError, match=r"scanner leads nowhere: is its disk mounted\?"):
        read_steps(tools, str(tmp_path / "scanner"), (STUDY,), nothing_known(tmp_path))


# What is too long, or takes too long


def test_R21_a_file_of_terabytes_is_neither_given_to_dcmdump_nor_read_to_its_end(remembered, folder):
    with (folder / "step").open("wb") as file:
        file.write(b"x " + STUDY.encode() + b" x")
        file.truncate(8 << 40)
    (folder / "kernel").symlink_to("/proc/kmsg")
    began = time.monotonic()
    assert remembered() == ({STUDY: {"step": None}}, [])
    assert time.monotonic() - began < 20, "it was not read to its end"


@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 40, (1 << 20) - 10, (1 << 20), (2 << 20) - 1])
@pytest.mark.parametrize("around", [(b"x", b"x"), (b"1", b"x"), (b"x", b"1"), (b"." * (1 << 20), b"x")], ids=range(4))
def test_R19_a_uid_is_found_by_itself_wherever_a_piece_ends(tmp_path, before, around):
    path = tmp_path / "file"
    path.write_bytes(b"x" * before + around[0] + STUDY.encode() + around[1])
    found = mpps._uids_in_bytes(str(path), [STUDY, OTHER])
    assert found == ({STUDY} if around == (b"x", b"x") else set())


def test_R21_an_unreadable_file_counts_for_the_study_in_its_name_too(steps, folder):
    (folder / f"{STUDY}.mpps").touch()
    (folder / "empty").touch()
    assert steps() == ({STUDY: {f"{STUDY}.mpps": None}}, [str(folder / "empty")])


def test_R21_a_file_on_which_dcmdump_hangs_is_left_until_it_changes_and_tried_more_and_more_rarely(
    remembered, folder, monkeypatch
):
    write(folder, "good")
    write(folder, "hangs", study=OTHER, ended=False)
    write(folder, "good too", study=OTHER)
    real, given = dcmdump.dump, set()

    def dump(tools, folder, names, tags, **more):
        given.update(names)
        dumps = real(tools, folder, names, tags, **more)
        return [Dump(one.file, error=Unread.TIMED_OUT) if one.file == "hangs" else one for one in dumps]

    def tried() -> bool:
        given.clear()
        assert remembered(STUDY, OTHER)[0] == {STUDY: {"good": END}, OTHER: {"good too": END, "hangs": None}}
        return "hangs" in given

    monkeypatch.setattr(dcmdump, "dump", dump)
    assert [tried(), tried(), tried()] == [True, False, False]
    os.utime(folder / "hangs")
    assert [tried(), tried()] == [True, False], "it changed"
    now = clock.now()
    for seconds, again in ((59, False), (61, True), (120, False), (182, True), (9000, True)):
        later = Moment(now.boot, now.seconds + seconds)
        monkeypatch.setattr(clock, "now", lambda later=later: later)
        assert [tried(), tried()] == [again, False], f"after {seconds} s: the disk may have been the reason"


def test_what_stands_in_the_place_of_the_cache_holds_nobody(remembered, folder, tmp_path):
    write(folder, "step")
    os.mkfifo(tmp_path / "index.json")
    assert remembered() == ({STUDY: {"step": END}}, ["./step"])


@pytest.mark.parametrize("number", ["1e999", "9" * 5000, "-1", "NaN"])
def test_a_huge_number_in_the_cache_is_no_time(remembered, folder, tmp_path, number):
    write(folder, "step")
    remembered()
    index = json.loads((tmp_path / "index.json").read_text())
    for entry in (["boot", "HERE"], 1), (["boot", 1.0], "HERE"):
        entries = {key: [known[0], *entry] for key, known in index["files"].items()}
        (tmp_path / "index.json").write_text(json.dumps({**index, "files": entries}).replace('"HERE"', number))
        assert remembered() == ({STUDY: {"step": END}}, ["./step"])
