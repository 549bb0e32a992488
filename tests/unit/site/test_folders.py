"""Where everything lies, found by the link that we were called by, and the switch (R5, R6, R7)."""

import os
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.folders import (
    DEFAULT_SERVER_DIR,
    DataFolders,
    ServerFolders,
    find_server_dir,
    is_switched_on,
    staging_left,
)

BIN = Path("/opt/venv/bin")

STUDY = "1.2.826.0.1.3680043.10.1561.5"


# R5, the names


# R5, SERVERDIR


def link(at: Path, to: Path | str) -> Path:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(to)
    return at


def server(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


def found(program: Path | str, **environ: str) -> str:
    return find_server_dir(str(program), environ)


@pytest.mark.parametrize("name", ["logs", ".pids"])
def test_R5_the_parent_of_the_folder_that_the_program_lies_in(tmp_path, name):
    place = server(tmp_path / "server", name)
    program = place / "bin" / "moveFromScanner.sh"
    program.parent.mkdir()
    program.touch()
    assert found(program) == str(place)


def test_R5_a_link_in_the_old_place_finds_the_old_folders(tmp_path):
    place = server(tmp_path / "server", "logs", ".pids")
    program = link(place / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    assert found(program) == str(place)


def test_R5_the_first_link_of_a_chain_with_such_folders_counts(tmp_path):
    first = server(tmp_path / "first", "nothing")
    second = server(tmp_path / "second", ".pids")
    third = server(tmp_path / "third", "logs")
    link(third / "bin" / "c.sh", BIN / "moveFromScanner.sh")
    link(second / "bin" / "b.sh", third / "bin" / "c.sh")
    assert found(link(first / "bin" / "a.sh", second / "bin" / "b.sh")) == str(second)


def test_R5_a_relative_link_is_read_from_its_own_folder(tmp_path):
    place = server(tmp_path / "server", "logs")
    link(place / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    assert found(link(tmp_path / "cron" / "mover", "../server/bin/moveFromScanner.sh")) == str(place)


def test_R5_a_linked_folder_on_the_way_is_resolved(tmp_path):
    place = server(tmp_path / "server", "logs")
    link(place / "scripts" / "bin" / "moveFromScanner.sh", "../../../elsewhere/mover.sh")
    server(place / "scripts", ".pids")
    folder = link(tmp_path / "a" / "shortcut", place / "scripts" / "bin")
    assert found(folder / "moveFromScanner.sh") == str(place / "scripts")


def test_R5_a_relative_call_is_one_from_the_current_folder(tmp_path, monkeypatch):
    place = server(tmp_path / "server", "logs", "bin")
    link(place / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    monkeypatch.chdir(place / "bin")
    assert found("./moveFromScanner.sh") == found("moveFromScanner.sh") == str(place)


def test_R5_a_circle_of_links_is_left(tmp_path):
    link(tmp_path / "bin" / "a", tmp_path / "bin" / "b")
    assert found(link(tmp_path / "bin" / "b", tmp_path / "bin" / "a")) == DEFAULT_SERVER_DIR


def test_R5_without_such_a_folder_it_is_that_of_the_reference(tmp_path):
    assert found(link(tmp_path / "bin" / "mover", BIN / "moveFromScanner.sh")) == "/var/www/html/server"


def test_R5_the_command_line_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_server_dir("x", {"SERVERDIR": "/other"}, "here/../server") == str(tmp_path / "server")


@pytest.mark.parametrize(("program", "environ"), [("x", {}), ("/x", {"SERVERDIR": "server"})])
def test_a_relative_one_needs_a_working_folder(tmp_path, monkeypatch, program, environ):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UnusableError, match="is relative to a working folder that was removed"):
        find_server_dir(program, environ)


def test_R5_the_environment_wins_over_the_link(tmp_path):
    place = server(tmp_path / "server", "logs")
    program = link(place / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    assert found(program, SERVERDIR=str(tmp_path / "other")) == str(tmp_path / "other")
    assert found(program, SERVERDIR="") == str(place)


# R6 and R7


@pytest.mark.parametrize(
    ("content", "on"),
    [
        (b"1", True),
        (b"01", True),
        (b"11", True),
        (b"010\n", True),
        (b"01\n", True),
        (b"x1", True),
        (b"\n1", True),
        (b"", False),
        (b"0", False),
        (b"1\n", False),
        (b"10", False),
        (b"00", False),
        (b"001", False),
        (b" 0 1", False),
        (b"\0\0", False),
        ("0１".encode(), False),
        (None, False),
    ],
)
def test_R6_the_switch_is_the_second_byte(tmp_path, content, on):
    (tmp_path / "config").mkdir()
    if content is not None:
        (tmp_path / "config" / "enabled").write_bytes(content)
    assert is_switched_on(DataFolders(str(tmp_path))) is on


def test_R6_without_its_folder_it_is_off(tmp_path):
    (tmp_path / "active-scans").mkdir()
    assert is_switched_on(DataFolders(str(tmp_path))) is False


def test_R6_a_switch_that_cannot_be_read_is_neither_on_nor_off(tmp_path):
    (tmp_path / "config" / "enabled").mkdir(parents=True)
    with pytest.raises(UnusableError, match=r"the switch .* cannot be read: Is a directory"):
        is_switched_on(DataFolders(str(tmp_path)))


@pytest.mark.timeout(20)
def test_R6_what_is_no_file_in_the_place_of_the_switch_holds_nobody(tmp_path):
    (tmp_path / "config").mkdir()
    os.mkfifo(tmp_path / "config" / "enabled")
    with pytest.raises(UnusableError, match=r"the switch .* cannot be read: it is not a regular file"):
        is_switched_on(DataFolders(str(tmp_path)))


def test_without_DATADIR_the_switch_is_neither_on_nor_off(tmp_path):
    (tmp_path / "file").touch()
    for place in ("missing", "file"):
        with pytest.raises(UnusableError, match=r"the data folder .* is not there: is its disk mounted\?"):
            is_switched_on(DataFolders(str(tmp_path / place)))


def test_an_empty_DATADIR_is_a_disk_that_is_not_mounted_and_no_switch_that_is_off(tmp_path):
    with pytest.raises(UnusableError, match=r"the data folder .* is empty: is its disk mounted\?"):
        is_switched_on(DataFolders(str(tmp_path)))


# R5, the names


@pytest.mark.parametrize(("project", "suffix"), [("ABCD", ""), ("LAB", "LAB")])
def test_R5_the_names_of_a_projects_files(project, suffix):
    folders = ServerFolders("/server", project)
    assert folders.log == f"/server/logs/moveFromScanner{suffix}.log"
    assert folders.lock == f"/server/.pids/moveFromScanner{suffix}.lock"
    assert folders.state == f"/server/.pids/moveFromScanner{suffix}.state.json"


def test_the_folder_of_a_series_is_the_one_that_the_sites_daemon_makes():
    assert DataFolders("/data").series("1.2", "1.3") == "/data/site/raw/1.2/1.3"


def test_R27_staging_that_was_left_is_found_in_both_places(tmp_path):
    folders = DataFolders(str(tmp_path))
    one, two = (Path(parent, ".moveFromScanner.staging.x") for parent in (folders.site, folders.raw))
    two.mkdir(parents=True)
    one.mkdir()
    (tmp_path / "site" / ".moveFromScanner.staging.file").touch()
    (tmp_path / "site" / ".moveFromScanner.staging.link").symlink_to(one)
    assert staging_left(folders) == [str(one), str(two)]
    assert staging_left(DataFolders(str(tmp_path / "none"))) == []
