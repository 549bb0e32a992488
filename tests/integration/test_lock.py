"""The locks of a whole pass, against the shell's real `flock` (R9)."""

import os
import time

import pytest

from tests.support.site import Site, flock, held_by_flock, is_running, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.9"


@pytest.fixture
def hanging(tmp_path):
    """A site with a request whose pass hangs in a findscu, and the file with that one's process number."""
    site = Site(tmp_path)
    site.request(STUDY)
    return site, site.hang()


@pytest.mark.parametrize("program", ["scanner-mover", "moveFromScanner.sh"])
@pytest.mark.parametrize("held", ["lock file", "folder of requests"])
def test_R9_held_by_another_it_exits_1_without_a_word(tmp_path, program, held):
    site = Site(tmp_path)
    site.request(STUDY)
    arguments = ["move"] if program == "scanner-mover" else []
    with held_by_flock(site.lock_file if held == "lock file" else site.data / "active-scans"):
        before = site.tree("data")
        done = site.mover(*arguments, program=program)
        assert (done.returncode, done.stdout, done.stderr, site.log()) == (1, "", "", "")
        assert not site.state_file.exists()
        assert site.tree("data") == before
    assert site.mover(*arguments, program=program).returncode == 5, "the scanner cannot be reached: it went to work"


def test_R9_the_lock_comes_before_the_log_and_the_switch(tmp_path):
    site = Site(tmp_path)
    site.switch(b"0")
    (site.server / "logs" / "moveFromScanner.log").mkdir(parents=True)
    with held_by_flock(site.lock_file):
        assert site.move().returncode == 1
    assert site.move().returncode == 4


def test_R9_a_dry_run_takes_the_lock_too(tmp_path):
    site = Site(tmp_path)
    with held_by_flock(site.lock_file):
        assert site.move("--dry-run").returncode == 1


def test_R9_two_projects_that_share_DATADIR_exclude_each_other(hanging):
    site, started = hanging
    site.config(SITES={"LAB": site.keys})
    with site.moving():
        wait_until(started.exists)
        assert site.move("LAB").returncode == 1


def test_R9_two_projects_with_a_DATADIR_each_do_not(hanging, tmp_path):
    site, started = hanging
    other = Site(tmp_path / "other")
    site.config(SITES={"LAB": other.keys})
    with site.moving():
        wait_until(started.exists)
        assert site.move("LAB").returncode == 0


def test_R9_a_pass_holds_both_locks_and_kill_9_releases_them(hanging):
    site, started = hanging
    with site.moving() as mover:
        wait_until(started.exists)
        assert (flock(site.lock_file), flock(site.data / "active-scans")) == (1, 1)
        mover.kill()
        mover.wait()
        # The tool could hold them only if it had them, and would only if it outlived us.
        assert (flock(site.lock_file), flock(site.data / "active-scans")) == (0, 0)
        tool = int(started.read_text())
        wait_until(lambda: not is_running(tool))
    assert site.move("--study", STUDY, env={"PATH": None}).returncode == 4, "the next pass is not held up"


def test_R9_after_a_pass_both_are_free(tmp_path):
    site = Site(tmp_path)
    assert site.move().returncode == 0
    assert (flock(site.lock_file), flock(site.data / "active-scans")) == (0, 0)


def test_a_pass_that_hangs_is_said_once_and_by_status(tmp_path):
    site = Site(tmp_path)
    assert site.move().returncode == 0
    with held_by_flock(site.lock_file):
        assert site.mover("status", "--max-age", "60").returncode == 0
        os.utime(site.lock_file, (time.time() - 4000,) * 2)
        reported = [site.mover(program="moveFromScanner.sh") for _ in range(2)]
        assert [done.returncode for done in reported] == [1, 1]
        assert "has logged nothing for 1 h 6 min: does it hang?" in reported[0].stderr
        assert reported[1].stderr == ""
        health = site.mover("status", "--max-age", "60")
        assert health.returncode == 1 and "does it hang?" in health.stderr
        assert "does it hang?" in site.mover("status").stdout
        assert "fix: a pass holds the lock" in site.mover("status", "--check").stdout.replace("fix:  ", "fix: ")
    assert site.move().returncode == 0
    assert site.mover("status", "--max-age", "60").returncode == 0


def test_a_pass_gives_its_lock_the_time(tmp_path):
    site = Site(tmp_path)
    assert site.move().returncode == 0
    os.utime(site.lock_file, (0, 0))
    assert site.move().returncode == 0
    assert site.lock_file.stat().st_mtime > time.time() - 3600
