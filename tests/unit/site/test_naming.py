"""A file gets a name that nobody has yet, also on another file system."""

import os
import stat
from pathlib import Path

import pytest

from scanner_mover.site.disk import opened_folder
from scanner_mover.site.naming import move_to_free_name

CONTENT = b"image" * 1000


def move(source: Path, target: Path) -> bool:
    with opened_folder(str(source.parent)) as one, opened_folder(str(target.parent)) as other:
        return move_to_free_name(one, source.name, other, target.name)


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "MR.1.2.3"
    path.write_bytes(CONTENT)
    path.chmod(0o640)
    return path


def test_it_moves_to_another_disk_with_its_rights_and_leaves_nothing(source, on_another_disk):
    target = on_another_disk / "MR.1.2.3"
    (on_another_disk / ".MR.1.2.3.part").write_bytes(b"left by a pass that was killed")
    assert move(source, target)
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(on_another_disk) == [target.name]
    assert not source.exists()


def test_what_is_there_stays_on_another_disk_too(source, on_another_disk):
    target = on_another_disk / "MR.1.2.3"
    target.write_bytes(b"there")
    assert not move(source, target)
    assert target.read_bytes() == b"there"
    assert source.read_bytes() == CONTENT
    assert os.listdir(on_another_disk) == [target.name]


def test_a_link_is_not_copied_to_another_disk(source, on_another_disk):
    link = source.with_name("MR.1.2.4")
    link.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="it is a link"):
        move(link, on_another_disk / "MR.1.2.4")
    assert os.listdir(on_another_disk) == []
