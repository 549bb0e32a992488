"""A private folder for answers of the scanner: nothing of it stays behind, whatever happens to its process."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.scanner import scratch
from scanner_mover.scanner.scratch import PREFIX, scratch_folder
from tests.support.site import wait_until

HOLDS_ONE = """
import sys, time
from scanner_mover.scanner.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as path:
    open(path + "/answer", "w").write("DOE^JANE")
    time.sleep(600)
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_private_and_goes_away_with_what_is_in_it(tmp_path):
    with scratch_folder(str(tmp_path)) as path:
        assert Path(path).parent == tmp_path
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
        (Path(path) / "folder").mkdir()
        (Path(path) / "folder" / "answer").write_text("DOE^JANE")
    assert names(tmp_path) == set()


def test_it_goes_away_when_something_is_raised(tmp_path):
    with pytest.raises(KeyError), scratch_folder(str(tmp_path)):
        raise KeyError
    assert names(tmp_path) == set()


def test_by_default_it_is_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as path:
        assert Path(path).parent == tmp_path


def test_what_a_killed_process_left_is_removed_by_the_next_and_not_while_it_lives(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_ONE, str(tmp_path)], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: list(tmp_path.glob("*/answer")))
        [held] = names(tmp_path)
        with scratch_folder(str(tmp_path)):
            assert held in names(tmp_path), "it is still in use"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert names(tmp_path) == {held}
    with scratch_folder(str(tmp_path)) as path:
        assert names(tmp_path) == {Path(path).name}


def test_what_is_not_its_own_stays(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(kept)
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}open").mkdir()
    (tmp_path / f"{PREFIX}open").chmod(0o755)
    (tmp_path / "scanner-mover.other").mkdir()
    before = names(tmp_path)
    with scratch_folder(str(tmp_path)):
        pass
    assert names(tmp_path) == before and names(kept) == {"file"}


@pytest.mark.parametrize("who", ["removes it", "holds it"])
def test_another_process_may_take_it_for_one_that_was_left(tmp_path, monkeypatch, who):
    real = scratch._lock
    locks = []

    def lock(path: str) -> int:
        if not locks:
            locks.append(real(path))
            if who == "removes it":
                os.rmdir(path)
        return real(path)

    monkeypatch.setattr(scratch, "_lock", lock)
    with scratch_folder(str(tmp_path)) as path:
        assert Path(path).is_dir()
    os.close(locks[0])


@pytest.mark.parametrize("place", ["missing", "file"])
def test_where_none_can_be_made_is_one_line(tmp_path, place):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UnusableError, match=f"no folder can be made in .*{place}: N"),
        scratch_folder(str(tmp_path / place)),
    ):
        pass


def test_a_full_table_of_files_is_one_line(tmp_path, monkeypatch):
    def no_inodes(**_: str) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", no_inodes)
    with pytest.raises(UnusableError, match=r"No space left on device"), scratch_folder(str(tmp_path)):
        pass
