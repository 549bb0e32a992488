"""Both programs' way in: what is read without typer, what typer reads, and what the process ends with."""

import io
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from scanner_mover import __main__ as entry
from scanner_mover import commands, signals
from scanner_mover.arguments import MoveOptions, StatusOptions
from scanner_mover.display import output
from scanner_mover.display.stream import Stream

USAGE = "scanner-mover: usage: moveFromScanner.sh [PROJECT]\n"


class Process:
    """What happens in place of the work: each step that is made, in order."""

    def __init__(self) -> None:
        self.steps: list[object] = []
        #: What a subcommand that needs no typer ends with, and what typer does.
        self.result: int | BaseException = 0
        self.typer: Callable[[], object] = lambda: None

    def run(self, options: object, program: str) -> int:
        self.steps.append((options, program))
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def app(self, prog_name: str) -> None:
        self.steps.append(f"typer for {prog_name}")
        self.typer()


@pytest.fixture
def process(monkeypatch) -> Process:
    made = Process()
    monkeypatch.setattr(commands, "run", made.run)
    monkeypatch.setitem(sys.modules, "scanner_mover.cli", SimpleNamespace(app=made.app))  # type: ignore[arg-type]
    monkeypatch.setattr(signals, "before_install", lambda: made.steps.append("Ctrl-C ends us"))
    monkeypatch.setattr(output, "keep_standard_streams", lambda: made.steps.append("printing never fails"))
    return made


@pytest.fixture
def start(process, monkeypatch):
    """Start a program with these words on its command line; gives its exit status."""

    def start(program: Callable[[], None], *arguments: str) -> object:
        name = {entry.main: "scanner-mover", entry.move_from_scanner: "moveFromScanner.sh"}[program]
        monkeypatch.setattr(sys, "argv", [f"/opt/{name}", *arguments])
        with pytest.raises(SystemExit) as end:
            program()
        return end.value.code

    return start


BEFORE = ["Ctrl-C ends us", "printing never fails"]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["move"], MoveOptions()),
        (["move", "PCGC", "--json"], MoveOptions(project="PCGC", json=True)),
        (["status", "--max-age", "60"], StatusOptions(max_age_seconds=60.0)),
    ],
)
def test_move_and_status_go_to_the_work_without_typer(start, process, arguments, options):
    process.result = 5
    assert start(entry.main, *arguments) == 5
    assert process.steps == [*BEFORE, (options, "/opt/scanner-mover")]


@pytest.mark.parametrize("arguments", [[], ["find"], ["move", "--help"], ["move", "--settle", "soon"], ["--version"]])
def test_all_else_is_read_by_typer(start, process, arguments):
    assert start(entry.main, *arguments) == 0
    assert process.steps == [*BEFORE, "typer for scanner-mover"]


@pytest.mark.parametrize(("code", "exit_status"), [(0, 0), (2, 2), (70, 70), (None, 0)])
def test_the_exit_status_is_typers(start, process, code, exit_status):
    process.typer = lambda: sys.exit(code)
    assert start(entry.main, "find") == exit_status


@pytest.mark.parametrize(("arguments", "project"), [([], None), (["PCGC"], "PCGC"), ([""], ""), (["move"], "move")])
def test_R2_the_script_takes_a_project_and_nothing_else(start, process, arguments, project):
    process.result = 6
    assert start(entry.move_from_scanner, *arguments) == 6
    assert process.steps == [*BEFORE, (MoveOptions(project=project), "/opt/moveFromScanner.sh")]


@pytest.mark.parametrize("arguments", [["A", "B"], ["--dry-run"], ["-v"], ["-"], ["A", "--help"], ["-h", "-h"]])
def test_what_the_script_does_not_take_is_wrong_usage_and_no_pass(start, process, capsys, arguments):
    assert start(entry.move_from_scanner, *arguments) == 2
    assert capsys.readouterr() == ("", USAGE)
    assert process.steps == BEFORE


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_the_scripts_help_is_printed_and_no_pass_made(start, process, capsys, argument):
    assert start(entry.move_from_scanner, argument) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: moveFromScanner.sh [PROJECT]\n")
    assert "`scanner-mover move [PROJECT]`" in printed.out and printed.out.endswith(".\n")
    assert printed.err == ""
    assert process.steps == BEFORE


# What goes wrong


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 9, 0), (2, 7, 18)])
def test_an_older_python_is_named_before_anything_of_ours_runs(process, monkeypatch, version):
    written = io.StringIO()

    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(entry, "sys", SimpleNamespace(version_info=version, stderr=written, exit=leave))
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 4
    older = f"{version[0]}.{version[1]}"
    assert written.getvalue() == f"scanner-mover: this is Python {older}, but 3.11 or newer is needed\n"
    assert process.steps == []


@pytest.mark.parametrize("program", [entry.main, entry.move_from_scanner])
def test_an_error_of_ours_is_one_line_after_its_traceback(start, process, capsys, program):
    process.result = KeyError("key")
    assert start(program, *(["move"] if program is entry.main else [])) == 70
    *traceback, last = capsys.readouterr().err.splitlines()
    assert traceback[0] == "scanner-mover: Traceback (most recent call last):"
    assert traceback[-1] == "scanner-mover: KeyError: 'key'"
    assert last == (
        "scanner-mover: an error of scanner-mover itself (KeyError); nothing is lost; its traceback stands above: "
        "please report it"
    )


def test_a_typer_that_is_not_installed_is_no_error_of_ours(start, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "scanner_mover.cli")
    monkeypatch.setitem(sys.modules, "typer", None)  # type: ignore[arg-type]
    assert start(entry.main, "find") == 4
    assert capsys.readouterr().err == (
        "scanner-mover: the Python package typer is missing: install scanner-mover again, with pip, which brings it\n"
    )


def test_help_that_cannot_be_written_is_not_a_success(start, monkeypatch, capsys):
    with open("/dev/full", "wb") as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Stream(full.fileno(), is_closed=False))))
        assert start(entry.move_from_scanner, "--help") == 4
    assert capsys.readouterr().err == "scanner-mover: standard output cannot be written: No space left on device\n"
