"""What a subcommand has around it: one line for what others cause, a traceback in the log for what we cause."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner_mover import signals
from scanner_mover.commands.error_handler import command, internal_error
from scanner_mover.display.stream import Stream
from scanner_mover.errors import (
    ConfigurationError,
    Ended,
    ExitStatus,
    LockHeldError,
    ScannerMoverError,
    UnusableError,
    UsageError,
)

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _signals(monkeypatch):
    """`command` takes the signals: they are given back. One that it does not take must not end the tests."""
    for name, value in (("_asked", 0), ("_raised", False), ("_over", True)):
        monkeypatch.setattr(signals, name, value)
    before = {number: signal.signal(number, lambda *_: None) for number in ENDING}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str]]:
    """The exit status of a subcommand that does this, and what it says on standard error."""

    def run(action: Callable[[], int], log: Path | None = None, *, prints: bool = True) -> tuple[int, str]:
        status = command(action, log=lambda: str(log) if log else None, prints=prints)
        return status, capsys.readouterr().err

    return run


@pytest.fixture
def output(monkeypatch) -> Callable[[int], Stream]:
    """Makes a descriptor standard output, as the program does it."""

    def output(descriptor: int) -> Stream:
        raw = Stream(descriptor, is_closed=False)
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8"))
        return raw

    return output


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


def fails() -> int:
    return {}["key"]


@pytest.mark.parametrize("status", [ExitStatus.OK, ExitStatus.SCANNER, ExitStatus.REQUEST_FAILED])
def test_the_exit_status_of_the_action_counts(run, status):
    assert run(lambda: status) == (status, "")


@pytest.mark.parametrize(
    ("error", "status"),
    [(UsageError, 2), (ConfigurationError, 3), (UnusableError, 4), (LockHeldError, 1)],
    ids=lambda value: str(value),
)
def test_what_others_cause_is_one_line_or_none(run, tmp_path, error, status):
    log = tmp_path / "the.log"
    log.touch()
    line = "" if error is LockHeldError else "scanner-mover: why\n"
    assert run(raising(error("why")), log) == (status, line)
    assert error.exit_status == status
    assert log.read_text() == "", "the log is for what we cause"


@pytest.mark.parametrize("number", ENDING)
def test_R27_a_signal_is_128_and_its_number_and_silent(run, number):
    assert run(lambda: os.kill(os.getpid(), number) or 0) == (128 + number, "")
    assert Ended(number).exit_status == 128 + number


def test_signals_change_nothing_any_more_when_only_the_exit_status_is_left(run):
    assert run(lambda: ExitStatus.SCANNER) == (5, "")
    os.kill(os.getpid(), signal.SIGTERM)
    signals.check()


def test_R27_who_was_asked_to_end_waits_for_no_reader(run, output):
    reader, writer = os.pipe()
    raw = output(writer)

    def action() -> int:
        sys.stdout.write("nobody reads this")
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    assert run(action) == (143, "")
    sys.stdout.flush()
    assert raw.given_up
    os.close(writer)
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize(
    ("prints", "before", "status"),
    [(True, 0, 4), (False, 0, 0), (True, 5, 4), (False, 5, 5), (True, 2, 2)],
)
def test_output_that_does_not_arrive_counts_where_it_was_the_job(run, output, prints, before, status):
    full = os.open("/dev/full", os.O_WRONLY)
    output(full)

    def action() -> int:
        sys.stdout.write("text")
        return before

    said = "scanner-mover: standard output cannot be written: No space left on device\n"
    assert run(action, prints=prints) == (status, said)
    os.close(full)


# Errors of ours


def test_an_error_of_ours_is_70_with_its_traceback_in_the_log(run, tmp_path):
    log = tmp_path / "the.log"
    log.write_text("before\n")
    status, errors = run(fails, log)
    assert status == 70
    assert errors == (
        f"scanner-mover: an error of scanner-mover itself (KeyError); nothing is lost; its traceback is in {log}: "
        "please report it\n"
    )
    lines = log.read_text().splitlines()
    assert lines[0] == "before"
    assert "Traceback (most recent call last):" in lines[1]
    assert lines[-1].endswith(": KeyError: 'key'")
    # One line for each of the traceback, with its indentation.
    assert any(line.endswith(':     return {}["key"]') for line in lines)


@pytest.mark.parametrize("log", [None, "no folder/the.log", "not made yet.log", "a folder"])
def test_an_error_of_ours_without_a_log_shows_its_traceback(run, tmp_path, log):
    (tmp_path / "a folder").mkdir()
    status, errors = run(fails, tmp_path / log if log else None)
    assert status == 70
    assert errors.startswith("scanner-mover: Traceback (most recent call last):\n")
    assert errors.splitlines()[-2] == "scanner-mover: KeyError: 'key'"
    assert errors.splitlines()[-1].endswith("its traceback stands above: please report it")
    assert [path.name for path in tmp_path.iterdir()] == ["a folder"]


def test_a_traceback_that_does_not_fit_into_the_log_is_shown(run):
    status, errors = run(fails, Path("/dev/full"))
    assert status == 70
    assert "scanner-mover: KeyError: 'key'\n" in errors
    assert errors.endswith("its traceback stands above: please report it\n")


def test_who_cannot_say_where_the_log_is_shows_the_traceback(capsys):
    assert internal_error(ValueError("x"), raising(ScannerMoverError("no folder"))) == 70
    assert "scanner-mover: ValueError: x\n" in capsys.readouterr().err


def test_the_caller_need_not_have_a_log(capsys):
    assert internal_error(ValueError("x")) == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("scanner-mover: an error of scanner-mover itself (ValueError); nothing is lost; ")


def test_each_error_of_a_chain_and_each_line_of_a_message_has_its_line(run, tmp_path):
    log = tmp_path / "the.log"
    log.touch()

    def action() -> int:
        try:
            return fails()
        except KeyError as error:
            raise RuntimeError("first\nsecond\x1b[2J") from error

    run(action, log)
    messages = [line.partition(": ")[2] for line in log.read_text().splitlines()]
    assert "KeyError: 'key'" in messages
    assert messages[-2:] == ["RuntimeError: first", r"second\x1b[2J"]


# What is no error of ours


@pytest.mark.parametrize(("name", "package"), [("no_such_package.part", "no_such_package"), ("rich.none", "rich.none")])
def test_a_package_that_is_not_installed_is_no_error_of_ours(run, tmp_path, name, package):
    log = tmp_path / "the.log"
    log.touch()
    status, errors = run(lambda: __import__(name), log)
    assert (status, errors) == (
        4,
        f"scanner-mover: the Python package {package} is missing: install scanner-mover again, with pip, which "
        "brings it\n",
    )
    assert log.read_text() == ""


@pytest.mark.parametrize("name", ["scanner_mover.no_such_module", "scanner_mover", None])
def test_a_module_of_ours_that_is_missing_is_one(run, name):
    status, errors = run(raising(ModuleNotFoundError("why", name=name)))
    assert status == 70
    assert "(ModuleNotFoundError)" in errors


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_limit_on_open_files_is_none(run, number):
    assert run(raising(OSError(number, "too many"))) == (
        4,
        "scanner-mover: too few files may be open at once: raise the limit (ulimit -n)\n",
    )


def test_any_other_error_of_the_system_that_nobody_expected_is_one(run):
    status, errors = run(raising(OSError(errno.EIO, "why")))
    assert status == 70
    assert "scanner-mover: OSError: [Errno 5] why\n" in errors


def test_what_ends_python_is_not_caught(run):
    with pytest.raises(KeyboardInterrupt):
        run(raising(KeyboardInterrupt()))
