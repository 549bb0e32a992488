"""What `demo` decides without a scanner: its folder, tools, ports and files, how many passes, the last lines."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from scanner_mover import config
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import demo
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.display.terminal import show
from scanner_mover.errors import ExitStatus, UnusableError, UsageError
from scanner_mover.rules.closing import step_has_ended
from scanner_mover.site import requests
from scanner_mover.site.folders import DataFolders, is_switched_on
from tests.support.site import shell_tool

TOOLS = ("findscu", "movescu", "dump2dcm", "dcmdump", "dcmqrscp", "storescu")
ENDED, RUNNING = (study.uid for study in demo._STUDIES)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The system's temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_leaves_nothing_behind_unless_it_is_told_to(temporary):
    with demo._place(None) as place:
        assert os.listdir(temporary) == [os.path.basename(place)]
        assert os.path.basename(place).startswith("scanner-mover-demo.")
        os.makedirs(os.path.join(place, "data", "active-scans"))
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("error", [UnusableError("no tool"), KeyboardInterrupt()])
def test_a_demo_that_fails_leaves_nothing_behind_either(temporary, monkeypatch, capsys, error):
    def fail(place: str) -> int:
        Path(place, "config.json").touch()
        raise error

    monkeypatch.setattr(demo, "_show", fail)
    with pytest.raises(type(error)):
        demo.run(None)
    assert os.listdir(temporary) == []
    assert capsys.readouterr().out == ""


def test_a_disk_that_takes_no_more_is_no_error_of_ours(temporary, monkeypatch):
    def fail(place: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_show", fail)
    with pytest.raises(UnusableError, match=r"^the demo cannot write its files: No space left on device$"):
        demo.run(None)


@pytest.mark.parametrize("keep", ["empty", "new", "new/below"])
def test_what_is_kept_lies_in_a_new_or_empty_folder_and_stays(tmp_path, monkeypatch, keep):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with demo._place(keep) as place:
        assert place == f"{tmp_path}/{keep}"
        Path(place, "config.json").touch()
    assert os.listdir(tmp_path / keep) == ["config.json"]


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        ("full", "is not empty"),
        ("full/file", "cannot be used: File exists"),
        ("full/file/below", "cannot be used: Not a directory"),
    ],
)
def test_a_folder_in_which_something_lies_is_not_touched(tmp_path, keep, why):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(UsageError) as raised:
        demo.run(str(tmp_path / keep))
    assert str(raised.value) == f"--keep: {tmp_path / keep} {why}"
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "file"]


@pytest.mark.parametrize(
    ("status", "keep", "last"),
    [
        (ExitStatus.OK, None, "scanner-mover demo --keep DIR  leaves these folders in DIR, to be looked at"),
        (ExitStatus.OK, "kept", "{}/kept  has these folders, to be looked at"),
        (ExitStatus.SCANNER, None, None),
        (ExitStatus.UNUSABLE, "kept", None),
    ],
)
def test_what_to_do_next_is_said_only_after_a_demo_that_worked(temporary, monkeypatch, capsys, status, keep, last):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(temporary)
    monkeypatch.setattr(demo, "_show", lambda place: status)
    assert demo.run(keep) == status
    lines = capsys.readouterr().out.splitlines()
    if last is None:
        assert lines == []
        return
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "scanner-mover init sets up a site of your own: it asks what it needs",
        "scanner-mover status --check says what is missing there",
        " ".join(last.format(temporary).split()),
    ]


@pytest.mark.parametrize("missing", TOOLS)
def test_a_tool_that_is_missing_is_named_before_anything_is_shown_or_made(tmp_path, monkeypatch, capsys, missing):
    for name in TOOLS:
        if name != missing:
            shell_tool(tmp_path / "tools", name, "")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    with pytest.raises(UnusableError, match=rf"^{missing} is not on the PATH: install DCMTK"):
        demo.run(str(tmp_path / "kept"))
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path / "kept") == []


def test_both_ports_are_free_and_differ():
    ports = demo._free_ports()
    with socket.socket() as one, socket.socket() as other:
        for probe, port in zip((one, other), ports, strict=True):
            probe.bind(("127.0.0.1", port))


def test_the_configuration_is_that_of_a_site_that_waits_for_nothing(tmp_path):
    file = demo._configure(str(tmp_path), f"{tmp_path}/data", 4006, 11112)
    settings = config.load(file, config.DEFAULT_PROJECT)
    assert (settings.data_dir, settings.host, settings.port) == (f"{tmp_path}/data", "127.0.0.1", 4006)
    assert (settings.called_ae_title, settings.calling_ae_title) == ("SCANNER", "MOVER")
    assert (settings.receive, settings.receive_port) == (True, 11112)
    assert (settings.settle_seconds, settings.quiet_seconds, settings.reserve_bytes) == (0, 0, 0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """What the scanner acquired, and the site, before the first pass."""
    place = tmp_path_factory.mktemp("demo")
    demo._fill(str(place), str(place / "data"))
    return place


def test_two_studies_are_requested_and_passes_are_switched_on(filled):
    folders = DataFolders(str(filled / "data"))
    found = requests.scan(folders.active_scans)
    assert {one.study_instance_uid for one in found.requests} == {ENDED, RUNNING}
    assert found.not_uids == [] and all(one.mpps_expected for one in found.requests)
    assert is_switched_on(folders)


def test_each_image_is_one_of_its_series_and_belongs_to_nobody(filled):
    counts: dict[tuple[str, str], int] = {}
    uids = set()
    for path in (filled / "acquired").iterdir():
        image = pydicom.dcmread(path)
        assert path.name == image.SOPInstanceUID == image.file_meta.MediaStorageSOPInstanceUID
        assert (image.PatientName, image.PatientID) == ("Phantom^Demo", "DEMO")
        series = (image.StudyInstanceUID, image.SeriesInstanceUID)
        counts[series] = counts.get(series, 0) + 1
        uids.add(image.SOPInstanceUID)
    assert counts == {
        **{(ENDED, f"{ENDED}.{number}"): images for number, images in ((1, 3), (2, 8), (3, 5))},
        (RUNNING, f"{RUNNING}.1"): 4,
    }
    assert len(uids) == 20


@pytest.mark.parametrize(("study", "ended"), [(ENDED, True), (RUNNING, False)])
def test_the_procedure_of_one_study_has_ended(filled, study, ended):
    step = pydicom.dcmread(filled / "data" / "scanner" / f"{study}.mpps")
    assert [one.StudyInstanceUID for one in step.ScheduledStepAttributesSequence] == [study]
    assert step_has_ended(step.PerformedProcedureStepStatus, step.PerformedProcedureStepEndTime or None) is ended
    assert bool(step.PerformedProcedureStepEndTime) is ended


@pytest.fixture
def passes(tmp_path, monkeypatch) -> Callable[..., tuple[int, int]]:
    """Makes passes that end with these exit statuses, until one of that number has finished the study.

    Gives the exit status and how many were made.
    """

    def passes(*statuses: int, finished_by: int | None = None) -> tuple[int, int]:
        made: list[str] = []

        def make_pass(options: MoveOptions, program: str) -> int:
            made.append(program)
            if len(made) == finished_by:
                (tmp_path / "finished").touch()
            return statuses[len(made) - 1]

        monkeypatch.setattr(demo, "make_pass", make_pass)
        return demo._make_passes(MoveOptions(), str(tmp_path / "finished")), len(made)

    return passes


@pytest.mark.parametrize("number", [1, 2, 5])
def test_passes_are_made_until_the_study_is_finished(passes, capsys, number):
    assert passes(0, 0, 0, 0, 0, finished_by=number) == (ExitStatus.OK, number)
    titles = [line.strip("─ ") for line in capsys.readouterr().out.splitlines()]
    assert titles == [f"pass {one}: scanner-mover move --receive" for one in range(1, number + 1)]


def test_a_study_that_is_not_finished_by_five_passes_is_a_failure(passes):
    assert passes(0, 0, 0, 0, 0) == (ExitStatus.SCANNER, 5)


@pytest.mark.parametrize("finished_by", [None, 2])
def test_a_pass_that_fails_is_the_last_one_and_its_exit_status_counts(passes, finished_by):
    assert passes(0, 4, 0, finished_by=finished_by) == (ExitStatus.UNUSABLE, 2)


def test_the_scanner_serves_what_it_acquired_while_passes_are_made_and_not_longer(tmp_path, monkeypatch, capsys):
    happened: list[str] = []
    ports: dict[str, int] = {}

    @contextlib.contextmanager
    def serving(tools: Toolbox, folder: str, **places):
        assert (folder, places["ae_title"], places["destination_ae_title"]) == (
            f"{tmp_path}/scanner",
            "SCANNER",
            "MOVER",
        )
        ports.update(scanner=places["port"], mover=places["destination_port"])
        happened.append("serves")
        yield
        happened.append("ended")

    def store(tools: Toolbox, folder: str, *, port: int, ae_title: str) -> None:
        assert (os.listdir(folder), port, ae_title) == (["image"], ports["scanner"], "SCANNER")
        happened.append("stored")

    def fill(place: str, data: str) -> None:
        for folder in (f"{place}/acquired", data):
            os.mkdir(folder)
        Path(place, "acquired", "image").touch()

    def make_passes(options: MoveOptions, finished: str) -> int:
        settings = config.load(options.config or "", config.DEFAULT_PROJECT)
        assert {"scanner": settings.port, "mover": settings.receive_port} == ports
        assert (options.receive, options.server_dir) == (True, f"{tmp_path}/server")
        assert finished == f"{settings.data_dir}/finished-scans/{ENDED}"
        assert not (tmp_path / "acquired").exists(), "only the scanner has it now"
        happened.append("passes")
        return 7

    for name, fake in {"find_tools": lambda names: Toolbox({}, {}), "_fill": fill, "_make_passes": make_passes}.items():
        monkeypatch.setattr(demo, name, fake)
    monkeypatch.setattr(demo.dcmqrscp, "serving", serving)
    monkeypatch.setattr(demo.dcmqrscp, "store", store)
    assert demo._show(str(tmp_path)) == 7
    assert happened == ["serves", "stored", "passes", "ended"]
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:3] == [
        f"study {ENDED}: series of 3, 8, 5 images, its procedure has ended",
        f"study {RUNNING}: series of 4 images, its procedure is running",
    ]
    assert "what came out" in shown[3] and shown[4:] == ["data/"]


# What came out


@pytest.fixture
def tree(tmp_path, monkeypatch, capsys) -> Callable[..., list[str]]:
    """The lines for a folder `top` with these files of 1500 bytes, or folders, whose names end with `/`."""
    monkeypatch.setenv("COLUMNS", "80")

    def tree(*paths: str) -> list[str]:
        (tmp_path / "top").mkdir()
        for path in paths:
            one = tmp_path / "top" / path
            one.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                one.mkdir()
            else:
                one.write_bytes(b"." * 1500)
        show(demo._tree(str(tmp_path / "top")))
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return tree


@pytest.mark.parametrize(
    ("paths", "lines"),
    [
        ((), ["top/"]),
        (("a",), ["top/a  1.5 kB"]),
        (("a", "b", "c"), ["top/  3 files  4.5 kB"]),
        (("a/b/c/",), ["top/a/b/c/"]),
        (("a/b", "a/c"), ["top/a/  2 files  3.0 kB"]),
        (("z/", "0", "a/x"), ["top/", "├── a/x  1.5 kB", "├── z/", "└── 0  1.5 kB"]),
        (("10/", "9/", "8/"), ["top/", "├── 8/", "├── 9/", "└── 10/"]),
        ((f"{'u' * 40}/{'v' * 40}/file",), [f"top/{'u' * 40}/", f"└── {'v' * 40}/file  1.5 kB"]),
    ],
)
def test_folders_come_before_files_and_what_lies_alone_in_a_folder_shares_its_line(tree, paths, lines):
    assert tree(*paths) == lines
