"""Where everything lies, found by the link that we were called by, and the switch (R5, R6, R7)."""

from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.folders import DEFAULT_SERVER_DIR, DataFolders, find_server_dir, is_switched_on
from tests.support.site import BIN, Site

STUDY = "1.2.826.0.1.3680043.10.1561.5"


# R5, the names


@pytest.mark.parametrize("project", [None, "", "ABCD"])
def test_R5_the_main_site_has_the_names_of_the_reference(tmp_path, project):
    site = Site(tmp_path)
    assert site.mover(*([] if project is None else [project]), program="moveFromScanner.sh").returncode == 0
    assert (site.server / "logs" / "moveFromScanner.log").read_text().endswith(": move enabled, start getScans\n")
    assert (site.server / ".pids" / "moveFromScanner.lock").is_file()


def test_R5_a_project_has_a_log_and_a_lock_of_its_own(tmp_path):
    site = Site(tmp_path, project="LAB")
    assert site.mover("LAB", program="moveFromScanner.sh").returncode == 0
    assert [path.name for path in (site.server / "logs").iterdir()] == ["moveFromScannerLAB.log"]
    assert (site.server / ".pids" / "moveFromScannerLAB.lock").is_file()
    assert not (site.server / ".pids" / "moveFromScanner.lock").exists()


def test_R2_R5_two_sites_in_one_file_share_neither_requests_nor_logs(tmp_path):
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two")
    one.request(STUDY)
    one.config(SITES={"LAB": two.keys})
    assert one.move("LAB").returncode == 0, "there is nothing to do in this site"
    assert one.log() == ""
    assert one.log("LAB").endswith(": move enabled, start getScans\n")
    assert one.requests_in("active-scans") == [STUDY]


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


def test_R5_the_environment_wins_over_the_link(tmp_path):
    place = server(tmp_path / "server", "logs")
    program = link(place / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    assert found(program, SERVERDIR=str(tmp_path / "other")) == str(tmp_path / "other")
    assert found(program, SERVERDIR="") == str(place)


def test_R5_a_link_in_the_scripts_place_needs_no_other_change(tmp_path):
    site = Site(tmp_path)
    old = server(tmp_path / "html" / "server", "logs", ".pids")
    program = link(old / "bin" / "moveFromScanner.sh", BIN / "moveFromScanner.sh")
    assert site.mover(program=program, env={"SERVERDIR": None}).returncode == 0
    assert (old / "logs" / "moveFromScanner.log").read_text().count("\n") == 1
    assert (old / ".pids" / "moveFromScanner.lock").is_file()


def test_R5_server_dir_wins_over_everything_and_is_made(tmp_path):
    site = Site(tmp_path)
    assert site.move("--server-dir", str(tmp_path / "new" / "server")).returncode == 0
    assert (tmp_path / "new" / "server" / "logs" / "moveFromScanner.log").is_file()
    assert not site.server.exists()


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
    site = Site(tmp_path)
    site.switch(content)
    assert is_switched_on(DataFolders(str(site.data))) is on


def test_R6_without_its_folder_it_is_off(tmp_path):
    assert is_switched_on(DataFolders(str(tmp_path))) is False


def test_R6_a_switch_that_cannot_be_read_is_neither_on_nor_off(tmp_path):
    (tmp_path / "config" / "enabled").mkdir(parents=True)
    with pytest.raises(UnusableError, match=r"the switch .* cannot be read: Is a directory"):
        is_switched_on(DataFolders(str(tmp_path)))


@pytest.mark.parametrize("content", [None, b"0", b"1\n", b"100\n"])
def test_R7_switched_off_it_says_so_and_changes_nothing(tmp_path, content):
    site = Site(tmp_path)
    site.request(STUDY)
    site.switch(content)
    before = site.tree("data")
    done = site.move()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert site.messages() == ["move disabled, start clearScans"]
    assert site.tree("data") == before


@pytest.mark.parametrize("place", ["missing", "a file"])
def test_without_DATADIR_it_is_not_switched_off_but_unusable(tmp_path, place):
    site = Site(tmp_path)
    (tmp_path / "a file").touch()
    site.config(DATADIR=str(tmp_path / place))
    done = site.move()
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1 and str(tmp_path / place) in done.stderr
    assert not (tmp_path / "missing").exists()
