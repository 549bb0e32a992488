"""The locks, against the shell's real `flock` in both directions (R9)."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.site.lock import Lock
from tests.support.site import flock, held_by_flock
from tests.support.users import no_root, open_folder

__all__ = ["open_folder"]

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


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_file_in_the_place_of_the_lock_holds_nobody(lock, tmp_path, kind):
    path = tmp_path / "lock"
    os.mkfifo(path) if kind == "fifo" else path.symlink_to("/dev/zero")
    with pytest.raises(UnusableError, match=r"the lock .* cannot be opened: it is not a regular file"):
        lock.file(str(path))


def test_R9_a_file_that_was_removed_after_it_was_opened_is_not_what_is_locked(lock, tmp_path, monkeypatch):
    path = tmp_path / "lock"
    real = fcntl.flock

    def flock_late(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", real)
        path.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    lock.file(str(path))
    assert flock(path) == 1


def test_a_lock_that_we_may_only_read_is_locked(open_folder):
    path = open_folder / "lock"
    path.touch()
    path.chmod(0o444)
    lock = Lock()
    try:
        with no_root():
            lock.file(str(path))
        assert flock(path) == 1
    finally:
        lock.release()


def test_a_folder_on_a_file_system_that_locks_none_is_not_locked(lock, tmp_path, monkeypatch):
    def flock_none(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock_none)
    assert lock.folder(str(tmp_path)) is False
    with pytest.raises(UnusableError, match="lock cannot be locked: No locks available"):
        lock.file(str(tmp_path / "lock"))
