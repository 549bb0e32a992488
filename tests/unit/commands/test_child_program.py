"""A program that is run to its end, or until a time limit or a signal ends it."""

import subprocess
import threading

import pytest

from scanner_mover.commands.child_program import run
from scanner_mover.errors import Ended
from tests.support.site import is_running, shell_tool, wait_until

OUTPUT = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def test_what_it_prints_and_its_exit_status_come_back():
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60, **OUTPUT)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")


def test_much_output_comes_back_whole():
    done = run(["sh", "-c", "sleep 0.3; head -c 1000000 /dev/zero"], timeout=60, **OUTPUT)
    assert (done.returncode, len(done.stdout)) == (0, 1_000_000)


def test_one_that_cannot_be_started_raises_what_the_system_says():
    with pytest.raises(FileNotFoundError):
        run(["/no/such/program"], timeout=60, **OUTPUT)


def test_one_that_does_not_end_is_killed_after_the_limit():
    with pytest.raises(subprocess.TimeoutExpired, match=r"timed out after 0\.5 seconds"):
        run(["sleep", "600"], timeout=0.5, **OUTPUT)


def test_R27_a_signal_kills_it(tmp_path, sigterm):
    number = tmp_path / "number"
    path = shell_tool(tmp_path, "tool", f"echo $$ > {number}.part; mv {number}.part {number}; exec sleep 600")

    def signal_when_it_runs() -> None:
        wait_until(number.exists)
        sigterm()

    thread = threading.Thread(target=signal_when_it_runs)
    thread.start()
    with pytest.raises(Ended):
        run([str(path)], timeout=600, **OUTPUT)
    thread.join()
    assert not is_running(int(number.read_text()))
