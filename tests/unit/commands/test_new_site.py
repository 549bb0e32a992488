"""What `init` makes of a new site, and that it leaves alone what is there; users are made up."""

import errno
import json
import os
import stat

import pytest

from scanner_mover import config
from scanner_mover.commands.init_questions import Answers
from scanner_mover.commands.new_site import Maker, Owner
from scanner_mover.errors import UnusableError

OWNER = Owner("mover", 1001, 1002)


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Each path that was given to a user and a group; we are no root until a test says so."""
    calls: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda *call: calls.append(call))
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    return calls


@pytest.fixture
def root(given, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """As `given`, and we are root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return given


@pytest.fixture
def maker(given) -> Maker:
    return Maker(OWNER)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fail(number: int):
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(("private", "expected"), [(False, 0o755), (True, 0o750)])
def test_a_folder_is_made_with_those_above_it_from_the_top(maker, tmp_path, private, expected):
    top, below = tmp_path / "a", tmp_path / "a" / "b"
    maker.folder(str(below), private=private)
    assert maker.lines == [f"made   {top}", f"made   {below}"]
    assert [mode(top), mode(below)] == [expected, expected]


def test_a_folder_that_is_there_stays_as_it_is(maker, tmp_path):
    there = tmp_path / "there"
    there.mkdir(0o700)
    for _ in range(2):
        maker.folder(str(there), private=True)
    assert maker.lines == [f"there  {there}"], "once"
    assert mode(there) == 0o700


def test_a_folder_that_was_just_made_is_not_named_again(maker, tmp_path):
    for path in ("a/b", "a", "a/b", "a/c"):
        maker.folder(str(tmp_path / path))
    assert maker.lines == [f"made   {tmp_path / path}" for path in ("a", "a/b", "a/c")]


def test_a_link_to_a_folder_is_a_folder(maker, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    maker.folder(str(link))
    assert maker.lines == [f"there  {link}"]


@pytest.mark.parametrize("kind", ["file", "dangling link"])
@pytest.mark.parametrize("below", ["", "below"])
def test_what_is_in_the_way_of_a_folder_is_named(maker, tmp_path, kind, below):
    path = tmp_path / "in-the-way"
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(tmp_path / "none")
    with pytest.raises(UnusableError) as raised:
        maker.folder(str(path / below))
    assert str(raised.value) == f"{path} is not a folder: move it out of the way"


def test_a_folder_that_cannot_be_made_is_named_and_those_above_it_count_as_made(maker, tmp_path, monkeypatch):
    def mkdir(path: str, mode: int) -> None:
        if path.endswith("/b"):
            fail(errno.EACCES)()

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(UnusableError) as raised:
        maker.folder(str(tmp_path / "a" / "b" / "c"))
    assert str(raised.value) == f"the folder {tmp_path}/a/b cannot be made: Permission denied"
    assert maker.lines == [f"made   {tmp_path}/a"]


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o664])
def test_a_file_has_the_content_and_the_mode_whatever_the_umask(maker, tmp_path, permissions):
    os.umask(0o077)
    path = tmp_path / "file"
    maker.file(str(path), "Größe\n", permissions)
    assert path.read_bytes() == "Größe\n".encode()
    assert mode(path) == permissions
    assert maker.lines == [f"made   {path}"]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_file_never_replaces_what_is_there(maker, root, tmp_path, kind):
    path = tmp_path / "there"
    if kind == "file":
        path.write_text("mine")
        path.chmod(0o600)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "none")
    before = path.lstat()
    maker.file(str(path), "new", 0o644)
    assert maker.lines == [f"there  {path}"]
    assert path.lstat() == before
    assert root == []
    assert not (tmp_path / "none").exists()


def test_a_file_that_cannot_be_made_is_named(maker, tmp_path):
    with pytest.raises(UnusableError) as raised:
        maker.file(str(tmp_path / "none" / "file"), "", 0o644)
    assert str(raised.value) == f"{tmp_path}/none/file cannot be made: No such file or directory"
    assert maker.lines == []


@pytest.mark.parametrize(
    ("call", "number", "why"),
    [
        ("fsync", errno.ENOSPC, "No space left on device"),
        ("fchmod", errno.EPERM, "Operation not permitted"),
        ("chown", errno.EPERM, "Operation not permitted"),
    ],
)
def test_a_file_that_cannot_be_finished_is_removed(maker, root, tmp_path, monkeypatch, call, number, why):
    monkeypatch.setattr(os, call, fail(number))
    with pytest.raises(UnusableError) as raised:
        maker.file(str(tmp_path / "file"), "content", 0o644)
    assert str(raised.value) == f"{tmp_path}/file cannot be written: {why}"
    assert list(tmp_path.iterdir()) == []
    assert maker.lines == []


def test_root_gives_the_owner_what_was_made_and_nothing_else(maker, root, tmp_path):
    maker.folder(str(tmp_path))
    maker.folder(str(tmp_path / "a" / "b"))
    maker.file(str(tmp_path / "file"), "", 0o644)
    maker.file(str(tmp_path / "of-root"), "", 0o644, 0)
    assert root == [
        (str(tmp_path / "a"), 1001, 1002),
        (str(tmp_path / "a" / "b"), 1001, 1002),
        (str(tmp_path / "file"), 1001, 1002),
        (str(tmp_path / "of-root"), 0, 1002),
    ]


def test_another_user_gives_nothing_away(maker, given, tmp_path):
    maker.folder(str(tmp_path / "a"))
    maker.file(str(tmp_path / "file"), "", 0o644)
    assert given == []


def test_a_folder_that_cannot_be_given_to_the_owner_is_named(maker, root, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "chown", fail(errno.EPERM))
    with pytest.raises(UnusableError) as raised:
        maker.folder(str(tmp_path / "a"))
    assert str(raised.value) == f"the folder {tmp_path}/a cannot be made: Operation not permitted"


@pytest.mark.parametrize(("receive", "port"), [(True, 11112), (False, 11112), (False, None)])
def test_the_configuration_holds_the_answers(maker, tmp_path, receive, port):
    path = tmp_path / "config.json"
    answers = Answers("scanner.example", 4006, "SCANNER", "MOVER", "/mover/data", receive, port)
    maker.configuration(str(path), answers)
    assert json.loads(path.read_text()) == {
        "DATADIR": "/mover/data",
        "SCANNERIP": "scanner.example",
        "SCANNERPORT": 4006,
        "SCANNERAETITLE": "SCANNER",
        "DICOMAETITLE": "MOVER",
        "DICOMPORT": port,
        "SCANNER_MOVER": {"receive": receive},
    }
    assert path.read_text().endswith("\n}\n")
    assert mode(path) == 0o640
    settings = config.load(str(path), "ABCD")
    assert (settings.data_dir, settings.receive, settings.receive_port) == (
        "/mover/data",
        receive,
        port if receive else None,
    )


def test_the_configuration_stays_with_root_and_the_owners_group_may_read_it(maker, root, tmp_path):
    path = str(tmp_path / "config.json")
    maker.configuration(path, Answers("scanner", 4006, "SCANNER", "MOVER", "/mover/data", False, None))
    assert root == [(path, 0, 1002)]
