"""Signals in the middle of a pass, and while the program still loads (R27)."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.site import Site, flock, is_running, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.27"
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_R27_a_pass_that_is_ended_leaves_no_child_no_lock_and_no_file(tmp_path, number):
    site = Site(tmp_path)
    site.request(STUDY)
    assert site.move().returncode == 5
    before = site.tree("data")
    left = sorted(path.name for path in site.lock_file.parent.iterdir())
    started = site.hang()
    with site.moving() as mover:
        wait_until(started.exists)
        # To us alone: ending the tool is our task.
        mover.send_signal(number)
        out, err = mover.communicate(timeout=240)
    assert (mover.returncode, out, err) == (128 + number, "", "")
    assert not is_running(int(started.read_text()))
    assert flock(site.lock_file) == 0
    assert sorted(path.name for path in site.lock_file.parent.iterdir()) == left
    assert site.tree("data") == before
    assert site.state()["last_pass"]["exit_status"] == 0, "a pass that was ended on purpose has not failed"
    assert site.state()["faults"], "a pass that was cut short does not know that all has recovered"


def test_R27_what_kill_9_leaves_the_next_pass_removes(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    started = site.hang()
    with site.moving() as mover:
        wait_until(started.exists)
        mover.kill()
        mover.wait()
    tool = int(started.read_text())
    wait_until(lambda: not is_running(tool))
    assert [file for file in site.lock_file.parent.iterdir() if ".work." in file.name]
    (tmp_path / "tools" / "findscu").unlink()
    assert site.move().returncode == 5
    assert sorted(file.name for file in site.lock_file.parent.iterdir()) == [site.lock_file.name, site.state_file.name]


@pytest.mark.parametrize("program", ["main", "move_from_scanner"])
@pytest.mark.parametrize(
    ("ignored", "module", "exit_status"),
    [
        (False, "arguments", -signal.SIGINT),
        (False, "transfer.faults", 128 + signal.SIGINT),
        (True, "arguments", 0),
        (True, "transfer.faults", 0),
    ],
)
def test_R27_ctrl_c_while_the_program_still_loads_prints_no_traceback(program, ignored, module, exit_status):
    # The signal comes as soon as the program looks for this module.
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN if {ignored} else signal.default_int_handler)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "scanner_mover.{module}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from scanner_mover.__main__ import {program}
sys.argv = ["program", "move"] if "{program}" == "main" else ["program"]
try:
    {program}()
except SystemExit as end:
    sys.exit(end.code if end.code == 130 else 0)
"""
    environment = {**os.environ, "SCANNER_MOVER_CONFIG": "/nonexistent", "SERVERDIR": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr
    assert done.returncode == exit_status, done
