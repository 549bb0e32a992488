"""The disk: folders, free space, files that are written in one step."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.disk import (
    free_bytes,
    make_folder,
    need_writable,
    sync_file_system,
    sync_folder,
    write_json,
)

WRITE_MUCH = """
import sys
from scanner_mover.site.disk import write_json
try:
    write_json("x" * 10000, sys.argv[1], sys.argv[2])
except OSError as error:
    print(error.strerror)
"""


def test_R26_a_folder_and_those_above_it_are_made(tmp_path):
    folder = tmp_path / "a" / "finished-scans"
    make_folder(str(folder))
    make_folder(str(folder))
    assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnusableError, match=r"^the folder .*/file/x cannot be made: Not a directory$"):
        make_folder(str(tmp_path / "file" / "x"))


def test_a_folder_that_we_may_not_write_is_named(tmp_path, monkeypatch):
    # Root may write everywhere: as it is for another user.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UnusableError, match="cannot be written: give it to the user that runs this program"):
        make_folder(str(tmp_path))
    with pytest.raises(UnusableError, match="cannot be written: its file system is read-only"):
        make_folder("/proc/self") if os.statvfs("/proc/self").f_flag & os.ST_RDONLY else _read_only(monkeypatch)


def _read_only(monkeypatch) -> None:
    class Disk:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda path: Disk)
    make_folder("/")


def test_a_folder_in_which_a_file_can_be_written(tmp_path):
    need_writable(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_no_file_can_be_written_is_named(tmp_path):
    with pytest.raises(UnusableError, match=rf"^images cannot be written into {tmp_path}: No such file or directory"):
        need_writable(str(tmp_path / "staging"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_used_up_quota_are_named(tmp_path, monkeypatch, number):
    def write(descriptor, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(UnusableError, match=rf"{os.strerror(number)}: nothing is retrieved until they can$"):
        need_writable(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_free_space_is_that_of_the_nearest_folder_that_is_there(tmp_path):
    disk = os.statvfs(tmp_path)
    free = free_bytes(str(tmp_path / "not" / "yet" / "made"))
    assert free > 0 and abs(free - disk.f_bavail * disk.f_frsize) < 1 << 30


def test_free_space_that_cannot_be_measured_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnusableError, match=r"the free space of .*/file/x cannot be measured: Not a directory"):
        free_bytes(str(tmp_path / "file" / "x"))


def test_what_is_synced_must_be_there(tmp_path):
    sync_file_system(str(tmp_path))
    sync_folder(str(tmp_path))
    sync_folder(str(tmp_path / "none"))  # says nothing
    with pytest.raises(UnusableError, match="cannot be brought to the disk: No such file or directory"):
        sync_file_system(str(tmp_path / "none"))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "value.json"


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_json_is_replaced_in_one_step_and_all_may_read_it(path, umask):
    old = os.umask(umask)
    try:
        for value in (1, {"a": "ü"}):
            write_json(value, str(path), str(path.with_name(".part")))
            assert json.loads(path.read_bytes()) == value
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
    finally:
        os.umask(old)
    assert names(path) == ["value.json"]


def test_json_that_can_be_written_by_half_leaves_the_old_one_and_no_part(path):
    path.write_text("1")
    done = subprocess.run(
        ["prlimit", "--fsize=4096", sys.executable, "-c", WRITE_MUCH, str(path), str(path.with_name(".part"))],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "File too large\n"
    assert (path.read_text(), names(path)) == ("1", ["value.json"])


def test_json_obeys_no_part_that_somebody_put_there(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    part = path.with_name(".part")
    part.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_json(1, str(path), str(part))
    assert victim.read_text() == "precious" and not path.exists()
