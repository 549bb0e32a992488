"""The locks, against the shell's real `flock` in both directions (R9)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.site.lock import Lock
from tests.support.site import Site, flock, held_by_flock, is_running, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.9"
HOLDER = """
import sys, time
from scanner_mover.site.lock import Lock
Lock().file(sys.argv[1])
lock = Lock()
lock.file(sys.argv[1] + ".kept")
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def lock():
    lock = Lock()
    yield lock
    lock.release()


@pytest.fixture(params=["file", "folder"])
def path(request, tmp_path) -> Path:
    path = tmp_path / "what is locked"
    if request.param == "folder":
        path.mkdir()
    return path


def take(lock: Lock, path: Path) -> None:
    if path.is_dir():
        assert lock.folder(str(path))
    else:
        lock.file(str(path))


@pytest.fixture
def hanging(tmp_path):
    """A site with a request whose pass hangs in a findscu, and the file with that one's process number."""
    site = Site(tmp_path)
    site.request(STUDY)
    return site, site.hang()


# The locks themselves


def test_R9_what_flock_holds_is_held(lock, path):
    with held_by_flock(path), pytest.raises(LockHeldError):
        take(lock, path)
    take(lock, path)


def test_R9_what_we_hold_flock_does_not_get_until_we_release_it(lock, path):
    take(lock, path)
    assert flock(path) == 1
    lock.release()
    assert flock(path) == 0


def test_R9_a_lock_that_was_refused_keeps_nothing(lock, path):
    with held_by_flock(path), pytest.raises(LockHeldError):
        take(lock, path)
    assert flock(path) == 0


def test_R9_kill_9_of_the_holder_releases_it(lock, path):
    with held_by_flock(path) as holder:
        os.killpg(holder.pid, signal.SIGKILL)
        assert holder.stdout is not None and holder.stdout.read() == b"", "until nothing of it is left"
        take(lock, path)


def test_R9_our_own_death_by_kill_9_releases_it(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    held = flock(Path(f"{path}.kept"))
    holder.kill()
    holder.communicate()
    assert (held, flock(Path(f"{path}.kept"))) == (1, 0)


def test_R9_the_content_of_the_file_is_kept(lock, tmp_path):
    (tmp_path / "lock").write_text("4711\n")
    lock.file(str(tmp_path / "lock"))
    assert (tmp_path / "lock").read_text() == "4711\n"


def test_R9_no_child_inherits_it(lock, path):
    take(lock, path)
    done = subprocess.run(
        ["readlink", "-v", *(f"/proc/self/fd/{number}" for number in range(3, 64))],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        close_fds=False,
    )
    assert str(path) not in done.stdout


def test_a_folder_that_is_not_there_is_not_locked(lock, tmp_path):
    assert lock.folder(str(tmp_path / "none")) is False


def test_what_cannot_be_locked_is_named(lock, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnusableError, match=r"none/lock cannot be opened: No such file or directory"):
        lock.file(str(tmp_path / "none" / "lock"))
    with pytest.raises(UnusableError, match=r"the folder .*/file cannot be read: Not a directory"):
        lock.folder(str(tmp_path / "file"))


# The programs


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
