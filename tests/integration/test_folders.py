"""Where a whole pass finds its folders, and the switch (R5 to R7)."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.site import BIN, Site, held_by_flock

STUDY = "1.2.826.0.1.3680043.10.1561.5"


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


def test_R5_a_link_in_the_scripts_place_needs_no_other_change(tmp_path):
    site = Site(tmp_path)
    old = tmp_path / "html" / "server"
    for name in ("logs", ".pids", "bin"):
        (old / name).mkdir(parents=True)
    program = old / "bin" / "moveFromScanner.sh"
    program.symlink_to(BIN / "moveFromScanner.sh")
    assert site.mover(program=program, env={"SERVERDIR": None}).returncode == 0
    assert (old / "logs" / "moveFromScanner.log").read_text().count("\n") == 1
    assert (old / ".pids" / "moveFromScanner.lock").is_file()


def test_R5_server_dir_wins_over_everything_and_is_made(tmp_path):
    site = Site(tmp_path)
    assert site.move("--server-dir", str(tmp_path / "new" / "server")).returncode == 0
    assert (tmp_path / "new" / "server" / "logs" / "moveFromScanner.log").is_file()
    assert not site.server.exists()


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


# What stands in the place of a file


def put(kind: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)


KINDS = ("FIFO", "socket", "device", "folder")
PLACES = {
    "configuration": ("config.json", 3),
    "switch": ("data/config/enabled", 4),
    "lock": ("server/.pids/moveFromScanner.lock", 4),
    "state": ("server/.pids/moveFromScanner.state.json", None),
    "index": ("server/.pids/moveFromScanner.mpps.json", None),
    "log": ("server/logs/moveFromScanner.log", 4),
}


@pytest.mark.parametrize(
    ("place", "kind"),
    # A log may be a device.
    [(place, kind) for place in PLACES for kind in KINDS if (place, kind) != ("log", "device")],
)
def test_what_is_no_file_in_the_place_of_one_is_told_in_one_line_and_holds_no_pass(tmp_path, place, kind):
    """Such a pass hung, before the lock even, and cron started the next."""
    site = Site(tmp_path)
    site.request(STUDY)
    name, exit_status = PLACES[place]
    put(kind, tmp_path / name)
    done = site.move(seconds=60)
    assert "Traceback" not in done.stderr
    if exit_status is not None:
        assert (done.returncode, done.stderr.count("\n")) == (exit_status, 1)
        assert str(tmp_path / name) in done.stderr
    else:
        assert done.returncode in (4, 5), "the pass was made"
        assert f"PROCESS: {site.data}/active-scans/{STUDY}" in site.messages()
    assert site.requests_in("active-scans") == [STUDY]
    if place not in ("configuration", "lock"):
        with held_by_flock(site.lock_file):
            assert site.move(seconds=60).returncode == 1


def in_a_removed_folder(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """scanner-mover at a site, called where the working folder was removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && exec {BIN}/scanner-mover {' '.join(arguments)}"
    environment = Site(tmp_path).environment
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("arguments", [["--server-dir", "server"], ["--server-dir", "."]])
def test_a_working_folder_that_was_removed_is_told_in_one_line(tmp_path, arguments):
    done = in_a_removed_folder(tmp_path, "move", *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"scanner-mover: {arguments[1]} is relative to a working folder that was removed: "
        "change to another, or give absolute paths\n"
    )


@pytest.mark.parametrize("form", ["--prometheus", "--html", "--json"])
def test_a_file_in_a_working_folder_that_was_removed_is_one_line(tmp_path, form):
    done = in_a_removed_folder(tmp_path, "status", form, "--output", "page")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "scanner-mover: page cannot be written: No such file or directory\n"


@pytest.mark.parametrize("files", range(5, 20))
def test_with_few_descriptors_a_pass_ends_in_a_line(tmp_path, files):
    site = Site(tmp_path)
    site.request(STUDY)
    line = f"ulimit -n {files} && exec {BIN}/moveFromScanner.sh"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=site.environment, check=False)
    assert done.returncode in (4, 5), done
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("scanner-mover: ") for line in lines), done
    assert site.requests_in("active-scans") == [STUDY]
