"""What a subcommand has around it: one line for what others cause, a traceback in the log for what we cause."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scanner_mover.errors import Ended, LockHeldError, UnusableError, UsageError

# Runs `command` in a process of its own, since it takes the signals.
SCRIPT = """
import os, signal, sys
from scanner_mover.commands.error_handler import command
from scanner_mover.errors import Ended, LockHeldError, UnusableError, UsageError
def action():
    {body}
sys.exit(command(action, log=lambda: {log!r}, prints=True))
"""


def run(body: str, log: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body=body, log=str(log) if log else None)],
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("error", "status"), [(UsageError, 2), (UnusableError, 4), (LockHeldError, 1)], ids=lambda value: str(value)
)
def test_what_others_cause_is_one_line_or_none(error, status):
    line = "" if error is LockHeldError else "scanner-mover: why\n"
    assert run(f"raise {error.__name__}('why')") == (status, line)
    assert error.exit_status == status


def test_a_signal_is_128_and_its_number_and_silent():
    assert run("os.kill(os.getpid(), signal.SIGTERM)") == (143, "")
    assert Ended(signal.SIGTERM).exit_status == 143


def test_an_error_of_ours_is_70_with_its_traceback_in_the_log(tmp_path):
    log = tmp_path / "the.log"
    log.write_text("before\n")
    status, errors = run("{}['key']", log)
    assert status == 70
    assert errors == (
        f"scanner-mover: an error of scanner-mover itself (KeyError); nothing is lost; its traceback is in {log}: "
        "please report it\n"
    )
    lines = log.read_text().splitlines()
    assert lines[0] == "before"
    assert "Traceback (most recent call last):" in lines[1]
    assert lines[-1].endswith(": KeyError: 'key'")


@pytest.mark.parametrize("log", [None, "no folder/the.log", "not made yet.log", "a folder"])
def test_an_error_of_ours_without_a_log_shows_its_traceback(tmp_path, log):
    (tmp_path / "a folder").mkdir()
    status, errors = run("{}['key']", tmp_path / log if log else None)
    assert status == 70
    assert "Traceback (most recent call last):" in errors
    assert errors.splitlines()[-1].endswith("its traceback stands above: please report it")
    assert [path.name for path in tmp_path.iterdir()] == ["a folder"]


def test_a_package_that_is_not_installed_is_no_error_of_ours():
    status, errors = run("import no_such_package.part")
    assert (status, errors.count("\n")) == (4, 1)
    assert "the Python package no_such_package is missing: install scanner-mover again" in errors
