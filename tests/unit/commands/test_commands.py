"""Which subcommand belongs to which options, whose exit status it is, and which log a traceback goes into."""

import io
import sys
from types import SimpleNamespace

import pytest

from scanner_mover import commands, signals
from scanner_mover.arguments import MoveOptions, StatusOptions
from scanner_mover.arguments_by_hand import DemoOptions, FindOptions, InitOptions
from scanner_mover.display.stream import Stream
from scanner_mover.errors import UsageError
from scanner_mover.subcommands import SUBCOMMANDS

PROGRAM = "/opt/bin/scanner-mover"
LOG = "/server/logs/moveFromScanner.log"
MOVE = MoveOptions(server_dir="/server")


@pytest.fixture
def steps(monkeypatch) -> list[tuple[object, ...]]:
    """In place of the subcommands: each notes what it is given, and its exit status is 6. No signal is taken."""
    steps: list[tuple[object, ...]] = []

    def noted(name: str):
        return lambda *given: steps.append((name, *given)) or 6

    for name in ("move", "status", "find", "init", "demo"):
        monkeypatch.setattr(commands, name, SimpleNamespace(run=noted(name)), raising=False)
    monkeypatch.setattr(commands, "wrong_user", SimpleNamespace(warn=noted("warn")), raising=False)
    monkeypatch.setattr(commands, "limit_waiting", noted("limit"))
    for name in ("install", "over"):
        monkeypatch.setattr(signals, name, lambda: None)
    as_user(monkeypatch, 1001, terminal=True)
    return steps


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int, *, terminal: bool) -> None:
    monkeypatch.setattr(commands, "os", SimpleNamespace(geteuid=lambda: uid, environ={}))
    monkeypatch.setattr(commands, "sys", SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: terminal)))


@pytest.mark.parametrize(
    ("options", "step"),
    [
        (StatusOptions(json=True), ("status", StatusOptions(json=True), PROGRAM)),
        (FindOptions(study="1.2.3"), ("find", FindOptions(study="1.2.3"))),
        (InitOptions(scanner_ip="scanner"), ("init", InitOptions(scanner_ip="scanner"), PROGRAM)),
        (DemoOptions(keep="/tmp/demo"), ("demo", "/tmp/demo")),
    ],
)
def test_options_run_their_subcommand_and_give_its_exit_status(steps, options, step):
    assert commands.run(options, PROGRAM) == 6
    assert steps == [step], "nobody is warned, and a person's terminal is waited for"


def test_every_subcommand_is_run(steps):
    for subcommand in SUBCOMMANDS:
        assert commands.run(subcommand.options(), PROGRAM) == 6
    assert [name for name, *_ in steps if name != "limit"] == [subcommand.name for subcommand in SUBCOMMANDS]


@pytest.mark.parametrize(("uid", "terminal"), [(1001, True), (1001, False), (0, False)])
def test_a_pass_waits_for_no_reader_for_ever(steps, monkeypatch, uid, terminal):
    as_user(monkeypatch, uid, terminal=terminal)
    assert commands.run(MOVE, PROGRAM) == 6
    assert steps == [("limit",), ("move", MOVE, PROGRAM)]


def test_root_on_a_terminal_is_warned_before_the_pass_makes_anything(steps, monkeypatch):
    as_user(monkeypatch, 0, terminal=True)
    assert commands.run(MOVE, PROGRAM) == 6
    assert steps == [("limit",), ("warn", MOVE, PROGRAM), ("move", MOVE, PROGRAM)]


# What cannot be printed


@pytest.mark.parametrize(
    ("options", "is_the_job"),
    [
        (MoveOptions(), False),
        (MoveOptions(verbose=True), False),
        (MoveOptions(json=True), True),
        (StatusOptions(), True),
        (FindOptions(), True),
        (InitOptions(), True),
        (DemoOptions(), True),
    ],
)
def test_output_that_is_lost_counts_where_it_was_the_job(steps, monkeypatch, capsys, options, is_the_job):
    # What a pass is there for is done all the same.
    monkeypatch.setattr(commands, "_run", lambda *_: print("text") or 0)
    with open("/dev/full", "wb") as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Stream(full.fileno(), is_closed=False))))
        assert commands.run(options, PROGRAM) == (4 if is_the_job else 0)
    assert capsys.readouterr().err == "scanner-mover: standard output cannot be written: No space left on device\n"


# The log


@pytest.mark.parametrize(
    ("options", "log"),
    [
        (MOVE, LOG),
        (MoveOptions(server_dir="/server", project="ABCD"), LOG),
        (MoveOptions(server_dir="/server", project="PCGC"), "/server/logs/moveFromScannerPCGC.log"),
        (MoveOptions(), "/elsewhere/logs/moveFromScanner.log"),
        (StatusOptions(server_dir="/server"), LOG),
        (StatusOptions(project="PCGC"), "/elsewhere/logs/moveFromScannerPCGC.log"),
        (MoveOptions(server_dir="/server", dry_run=True), None),
        (FindOptions(), None),
        (InitOptions(server_dir="/server"), None),
        (DemoOptions(), None),
    ],
)
def test_which_log_a_subcommand_may_write_into(monkeypatch, options, log):
    monkeypatch.setattr(commands, "os", SimpleNamespace(environ={"SERVERDIR": "/elsewhere"}))
    assert commands.log_of(options, PROGRAM) == log


def test_R5_the_path_that_it_was_called_by_leads_to_the_log(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "os", SimpleNamespace(environ={}))
    (tmp_path / "logs").mkdir()
    assert commands.log_of(MoveOptions(), f"{tmp_path}/bin/moveFromScanner.sh") == (
        f"{tmp_path}/logs/moveFromScanner.log"
    )


def test_a_project_that_is_no_name_has_no_log():
    with pytest.raises(UsageError, match=r"^PROJECT is the name of a site"):
        commands.log_of(MoveOptions(project="../up"), PROGRAM)


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_error_of_ours_goes_into_the_log_of_its_project_but_not_in_a_dry_run(
    steps, monkeypatch, tmp_path, capsys, dry_run
):
    log = tmp_path / "logs" / "moveFromScannerPCGC.log"
    log.parent.mkdir()
    log.touch()
    monkeypatch.setattr(commands, "move", SimpleNamespace(run=lambda *_: {}["key"]))
    options = MoveOptions(project="PCGC", server_dir=str(tmp_path), dry_run=dry_run)
    assert commands.run(options, PROGRAM) == 70
    said = capsys.readouterr().err
    assert ("KeyError: 'key'" in log.read_text()) is not dry_run
    assert ("Traceback" in said) is dry_run
    assert (f"its traceback is in {log}" in said) is not dry_run
