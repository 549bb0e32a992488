"""A folder that is empty since its disk is not mounted is no empty folder."""

import errno
import os
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.folders import DataFolders, on_own_disks

# On each machine a file system of its own.
OTHER_DISK = "/proc/sys"
OWN = r"was on a disk of its own and is on none now: is that disk mounted\?"


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    made = DataFolders(str(tmp_path / "data"))
    for folder in made.all():
        Path(folder).mkdir(parents=True)
    return made


def on_another_disk(folder: str) -> Path:
    path = Path(folder)
    path.rmdir()
    path.symlink_to(OTHER_DISK)
    return path


def test_folders_on_the_disk_of_DATADIR_are_not_looked_at(folders):
    assert on_own_disks(folders, []) == []


@pytest.mark.parametrize("name", ["raw", "active_scans", "finished_scans", "failed_scans", "scanner"])
def test_a_folder_without_its_disk_is_a_fault(folders, name):
    path = on_another_disk(getattr(folders, name))
    known = on_own_disks(folders, [])
    assert known == [str(path)]
    assert on_own_disks(folders, known) == known
    path.unlink()
    for make in (lambda: None, path.mkdir):  # the folder that it was mounted on went with it, or did not
        make()
        with pytest.raises(UnusableError, match=f"{path} {OWN}"):
            on_own_disks(folders, known)
        assert on_own_disks(folders, []) == [], "nobody knows that it had one"


@pytest.mark.parametrize("call", range(6))
def test_whoever_needs_a_folder_says_what_is_wrong_with_it(folders, monkeypatch, call):
    """stat(2) fails once, be it of the folder or of what it is compared with; `tests/faults` found it."""
    path = on_another_disk(folders.raw)
    known = on_own_disks(folders, [])
    calls, stat = [], os.stat

    def failing(*of, **named):
        calls.append(of)
        if len(calls) == call + 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return stat(*of, **named)

    monkeypatch.setattr(os, "stat", failing)
    assert on_own_disks(folders, known) == known == [str(path)]


def test_of_folders_on_one_disk_the_outermost_counts(folders):
    """`site` is on another disk, and somebody empties `site/raw`, or removes it."""
    for folder in (folders.raw, folders.rejected):
        if os.path.isdir(folder):
            os.rmdir(folder)
    path = on_another_disk(folders.site)
    assert on_own_disks(folders, []) == [str(path)]
    assert not os.path.exists(folders.raw)


def test_what_the_line_asks_for_ends_it(folders):
    path = on_another_disk(folders.raw)
    known = on_own_disks(folders, [])
    path.unlink()
    path.mkdir()
    with pytest.raises(UnusableError) as error:
        on_own_disks(folders, known)
    command = str(error.value).rpartition(": ")[2]
    assert command == f"mkdir -p {path}/.here"
    (path / ".here").mkdir(parents=True)
    assert on_own_disks(folders, known) == []


def test_what_another_program_files_below_the_missing_disk_does_not_end_it(folders):
    path = on_another_disk(folders.raw)
    known = on_own_disks(folders, [])
    path.unlink()
    (path / "1.2.3").mkdir(parents=True)
    with pytest.raises(UnusableError, match=OWN):
        on_own_disks(folders, known)


def test_a_folder_that_cannot_be_looked_at_stays_known(folders):
    path = on_another_disk(folders.raw)
    known = on_own_disks(folders, [])
    path.unlink()
    path.symlink_to(path)
    assert on_own_disks(folders, known) == known
