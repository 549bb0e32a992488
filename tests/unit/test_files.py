"""Files in whose place somebody may put something else, and names that may be a patient's (R21)."""

import os
import stat
from pathlib import Path

import pytest

from scanner_mover.files import may_be_shown, open_descriptor, open_regular, read_regular, shown

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def at(tmp_path) -> Path:
    return tmp_path / "file"


def put(kind: str, path: Path) -> None:
    """Something of KIND at PATH that is no regular file."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a fifo":
        os.mkfifo(path.with_name("real"))
        path.symlink_to("real")
    else:
        path.symlink_to(f"/dev/{kind}")


@pytest.mark.parametrize("kind", ["fifo", "socket", "link to a fifo", "zero", "null", "ptmx"])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND | os.O_CREAT])
def test_what_is_no_regular_file_is_refused_at_once(at, kind, flags):
    put(kind, at)
    with pytest.raises(OSError, match="it is not a regular file"):
        open_descriptor(str(at), flags)


def test_a_folder_is_refused(at):
    at.mkdir()
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        open_regular(str(at))


def test_a_device_is_opened_where_it_is_allowed(at):
    at.symlink_to("/dev/full")
    descriptor = open_descriptor(str(at), os.O_WRONLY, device=True)
    with pytest.raises(OSError, match="No space left"):
        os.write(descriptor, b"x")
    os.close(descriptor)


def test_a_fifo_is_no_device(at):
    os.mkfifo(at)
    with pytest.raises(OSError, match="it is not a regular file"):
        open_descriptor(str(at), os.O_WRONLY, device=True)


def test_a_regular_file_is_read_to_its_end(at):
    at.write_bytes(b"content")
    with open_regular(str(at)) as file:
        assert file.read() == b"content"
        assert not os.get_inheritable(file.fileno())
    assert read_regular(str(at), 7) == b"content"
    at.with_name("link").symlink_to("file")
    assert read_regular(str(at.with_name("link")), 7) == b"content"


def test_one_that_is_too_large_is_refused_without_reading_it(at):
    with at.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="it is larger than 1000 bytes"):
        read_regular(str(at), 1000)


def test_a_link_is_refused_where_none_is_followed(at):
    at.write_bytes(b"content")
    at.with_name("link").symlink_to("file")
    folder = os.open(at.parent, os.O_RDONLY)
    try:
        assert read_regular("file", 10, dir_fd=folder, follow=False) == b"content"
        with pytest.raises(OSError, match="it is a link"):
            open_regular("link", dir_fd=folder, follow=False)
    finally:
        os.close(folder)


def test_a_file_that_is_missing_is_missing_or_made(at):
    with pytest.raises(FileNotFoundError):
        open_regular(str(at))
    os.close(open_descriptor(str(at), os.O_WRONLY | os.O_CREAT, 0o600))
    assert at.stat().st_size == 0


# Names


@pytest.mark.parametrize(
    "name",
    ["1.2.3", "MPPS.1.2.840.113619.6.408", "1.2.840.1.mpps", "MR_1.2.840.1", "mpps1.2.3", "2.25.0123"],
)
def test_R21_one_word_with_a_uid_in_it_may_be_shown(name):
    assert may_be_shown(name)


@pytest.mark.parametrize(
    "name",
    [
        *[
            "",
            "README",
            "SECRET^JOHN",
            "SECRET^JOHN.1.2.3",
            "John Doe 1.2.3",
            "John.Doe.1.2.3",
            "Doe,John",
            "Größe.1.2.3",
        ],
        *[
            "1.2",
            "12.05.1980",
            "SMITH.31.12.1980",
            "1.2.3\n",
            "1.2.3/x",
            "1.2.3\x1b",
            "１.２.３",
            "a" * 90 + ".1.2.3.4.5.6",
        ],
    ],
)
def test_R21_any_other_name_may_be_a_patients(name):
    assert not may_be_shown(name)


def test_names_that_may_not_be_shown_are_counted_by_folder():
    paths = [
        "/d/MPPS.1.2.3",
        "/d/SECRET^JOHN",
        "/d/a note",
        "/d/1.2.3/x",
        "/d/SECRET^JOHN's/MPPS.1.2.3",
        "/d/SECRET^JOHN's/2",
    ]
    assert shown("/d", paths) == [
        ("/d/MPPS.1.2.3", 1),
        ("1 file in /d/1.2.3", 1),
        ("2 files in /d", 2),
        ("2 files in a folder below /d", 2),
    ]
    assert shown("/d", []) == []


def test_what_became_a_fifo_after_it_was_looked_at_is_refused_too(at, monkeypatch):
    at.write_bytes(b"x")
    regular = at.stat()
    at.unlink()
    os.mkfifo(at)
    monkeypatch.setattr(os, "stat", lambda *_, **__: regular)
    with pytest.raises(OSError, match="it is not a regular file"):
        open_regular(str(at))
