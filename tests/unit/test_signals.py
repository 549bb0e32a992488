"""Signals end a pass in order, and never in the middle of what must not be torn (R27)."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.site import Site, flock, is_running, wait_until

STUDY = "1.2.826.0.1.3680043.10.1561.27"
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]

# Raises a real signal in itself at the places that the test names, and prints what happens.
SCRIPT = """
import os, signal, sys
from scanner_mover import signals
from scanner_mover.errors import Ended

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

signals.install()
try:
    {body}
except Ended as ended:
    print("ended", ended.exit_status, type(ended).__mro__[1].__name__)
else:
    print("not ended")
"""


def run(body: str, *before: str) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, "-c", SCRIPT.format(body=body.strip().replace("\n", "\n    "))],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", ENDING)
def test_R27_a_signal_ends_what_goes_on_with_128_and_its_number(number):
    assert run(f"send({number.name!r}); print('after')") == [f"ended {128 + number} BaseException"]


@pytest.mark.parametrize("number", ENDING)
def test_R27_within_deferred_it_waits_for_the_end_of_it(number):
    body = f"""
with signals.deferred():
    send({number.name!r})
    print("whole")
print("after")
"""
    assert run(body) == ["whole", f"ended {128 + number} BaseException"]


def test_R27_within_two_it_waits_for_the_end_of_the_outer():
    body = """
with signals.deferred():
    with signals.deferred():
        send("SIGTERM")
    print("whole")
print("after")
"""
    assert run(body) == ["whole", "ended 143 BaseException"]


def test_R27_the_first_of_several_counts_and_counts_once():
    body = """
try:
    with signals.deferred():
        send("SIGHUP")
        send("SIGTERM")
        send("SIGTERM")
        print("whole")
except Ended as ended:
    print(ended.exit_status)
with signals.deferred():
    print("a second time")
"""
    assert run(body) == ["whole", "129", "a second time", "not ended"]


def test_R27_an_error_within_does_not_swallow_it():
    body = """
with signals.deferred():
    send("SIGTERM")
    raise OSError("no room")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_without_a_signal_an_error_within_is_itself():
    body = """
try:
    with signals.deferred():
        raise OSError("no room")
except OSError as error:
    print(error)
send("SIGTERM")
"""
    assert run(body) == ["no room", "ended 143 BaseException"]


def test_R27_what_handles_errors_does_not_handle_it():
    body = """
try:
    send("SIGTERM")
except Exception:
    print("swallowed")
"""
    assert run(body) == ["ended 143 BaseException"]


def test_R27_under_nohup_a_hangup_ends_nothing():
    assert run('send("SIGHUP"); print("after"); send("SIGTERM")', "nohup") == ["after", "ended 143 BaseException"]


def test_R27_a_hangup_can_be_for_something_else():
    body = """
signals.install(lambda: print("hung up"))
send("SIGHUP")
with signals.deferred():
    send("SIGHUP")
print("after")
send("SIGTERM")
"""
    assert run(body) == ["hung up", "hung up", "after", "ended 143 BaseException"]


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
