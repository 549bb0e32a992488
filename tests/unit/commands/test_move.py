"""What `move` shows of a pass and what it says when another one runs: the passes are made up."""

import os
import signal
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from scanner_mover import clock
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import daemon, move
from scanner_mover.display.live_table import LiveTable
from scanner_mover.display.output import json_line
from scanner_mover.errors import Ended, LockHeldError
from scanner_mover.scanner.progress import Progress
from scanner_mover.site import state
from scanner_mover.site.lock import Lock
from scanner_mover.site.state import State
from scanner_mover.transfer.hanging import MOST_SILENT_SECONDS
from scanner_mover.transfer.one_pass import PassResult, View
from scanner_mover.transfer.report import PassReport
from scanner_mover.transfer.reported import Change
from tests.support.site import Site

REPORT = PassReport("ABCD", "2026-01-31T12:00:00+01:00", 1.0, True, False, ())
JSON = json_line(REPORT.to_json())
NOTHING = "nothing to do: no study is requested\n"
QUIET = PassResult(0, REPORT)
FAULTY = PassResult(
    5,
    REPORT,
    new=(Change("it began", ended=False), Change("it is over", ended=True)),
    standing=("it holds", "it holds too"),
    again=("it holds too",),
)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    for name in ("SCANNER_MOVER_CONFIG", "SERVERDIR"):
        monkeypatch.delenv(name, raising=False)
    site = Site(tmp_path)
    (site.server / ".pids").mkdir(parents=True)
    return site


@pytest.fixture
def show(site, monkeypatch, capsys) -> Callable[..., SimpleNamespace]:
    """Makes a pass with this result, or that raises this, for these options and with these streams on a terminal.

    Gives what is on both streams then, the exit status, and what the pass was told to show.
    """

    def show(
        result: PassResult | BaseException, *, terminals: tuple[str, ...] = (), raises: type | None = None, **options
    ) -> SimpleNamespace:
        views: list[View] = []

        def run_pass(options: MoveOptions, program: str, view: View) -> PassResult:
            views.append(view)
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(move, "run_pass", run_pass)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(getattr(sys, name), "isatty", lambda name=name: name in terminals)
        given = {"config": str(site.config_file), "server_dir": str(site.server), **options}
        status = None
        if raises is None:
            status = move.run(MoveOptions(**given), "scanner-mover")
        else:
            with pytest.raises(raises):
                move.run(MoveOptions(**given), "scanner-mover")
        printed = capsys.readouterr()
        return SimpleNamespace(out=printed.out, err=printed.err.splitlines(), status=status, view=views[0])

    return show


def lines(*texts: str) -> list[str]:
    return [f"scanner-mover: {text}" for text in texts]


def test_without_every_one_pass_is_made_and_its_exit_status_counts(site, show):
    assert show(FAULTY).status == 5
    assert not site.state_file.exists(), "what was said is not kept"


def test_with_every_passes_follow_each_other(monkeypatch):
    calls = []
    monkeypatch.setattr(daemon, "keep_running", lambda *call: calls.append(call) or 3)
    options = MoveOptions(every_seconds=0.0)
    assert move.run(options, "program") == 3
    assert calls == [(options, "program", 0.0)]


def test_who_wants_the_log_gets_it(site, monkeypatch):
    opened: list[object] = []

    def run_pass(options: MoveOptions, program: str, view: View) -> PassResult:
        view.log_opened("the log")
        return QUIET

    monkeypatch.setattr(move, "run_pass", run_pass)
    assert move.make_pass(MoveOptions(server_dir=str(site.server)), "program", opened.append) == 0
    assert opened == ["the log"]


# What is printed of it


@pytest.mark.parametrize(
    ("options", "terminals", "out"),
    [
        ({}, (), ""),
        ({"studies": ("1.2.3",)}, (), ""),
        ({}, ("stderr",), ""),
        ({}, ("stdout",), NOTHING),
        ({"verbose": True}, (), NOTHING),
        ({"dry_run": True}, (), NOTHING),
        ({"json": True}, (), JSON),
        ({"json": True}, ("stdout",), JSON),
        ({"json": True, "verbose": True, "dry_run": True}, (), JSON),
    ],
)
def test_cron_gets_nothing_a_person_a_summary_and_a_program_an_object(show, options, terminals, out):
    shown = show(QUIET, terminals=terminals, **options)
    assert (shown.out, shown.err) == (out, [])


@pytest.mark.parametrize("options", [{"json": True}, {"verbose": True}])
def test_a_pass_without_a_report_prints_none(show, options):
    assert show(PassResult(3, None, new=(Change("why", ended=False),)), **options).out == ""


@pytest.mark.parametrize(
    ("options", "terminals", "more"),
    [
        ({}, (), ()),
        ({"verbose": True, "json": True}, ("stdout",), ()),
        ({"studies": ("1.2.3",)}, (), ("it holds too",)),
        ({"studies": ("1.2.3",), "every_seconds": 15.0}, (), ()),
        ({"dry_run": True}, (), ("it holds", "it holds too")),
        ({}, ("stderr",), ("it holds", "it holds too")),
        ({"studies": ("1.2.3",)}, ("stderr",), ("it holds", "it holds too")),
    ],
)
def test_cron_is_told_what_is_new_a_person_what_still_holds_too(show, monkeypatch, options, terminals, more):
    monkeypatch.setattr(daemon, "keep_running", lambda options, program, seconds: move.make_pass(options, program))
    assert show(FAULTY, terminals=terminals, **options).err == lines("it began", "it is over", *more)


@pytest.mark.parametrize("error", [Ended(signal.SIGTERM), ValueError("ours")])
def test_what_ended_a_pass_is_raised_after_its_lines_and_it_has_no_report(show, error):
    shown = show(FAULTY._replace(raised=error), raises=type(error), json=True)
    assert shown.err == lines("it began", "it is over")
    assert shown.out == ""


# The lines that could not be written


@pytest.fixture
def deaf(monkeypatch) -> None:
    """Nothing can be written to standard error."""
    monkeypatch.setattr(move, "say", lambda text: False)


def unsaid(site: Site) -> list[str]:
    return state.load(str(site.state_file))[0].unsaid


def test_R27_a_reader_that_does_not_read_is_waited_for_once_and_a_signal_loses_no_line(
    site, show, monkeypatch, sigterm
):
    tried: list[str] = []

    def say(text: str) -> bool:
        sigterm()
        tried.append(text)
        return False

    monkeypatch.setattr(move, "say", say)
    show(FAULTY, raises=Ended)
    assert tried == ["it began"] and unsaid(site) == ["it began", "it is over"]


@pytest.mark.usefixtures("deaf")
def test_what_could_not_be_said_is_kept_for_the_next_pass_each_line_once(site, show):
    show(FAULTY)
    assert unsaid(site) == ["it began", "it is over"]
    more = FAULTY._replace(new=(Change("it is over", ended=True), Change("another", ended=False)))
    show(more)
    assert unsaid(site) == ["it began", "it is over", "another"]


@pytest.mark.usefixtures("deaf")
def test_the_newest_hundred_lines_are_kept(site, show):
    show(FAULTY._replace(new=tuple(Change(str(number), ended=False) for number in range(103))))
    assert unsaid(site) == [str(number) for number in range(3, 103)]


@pytest.mark.usefixtures("deaf")
def test_a_dry_run_keeps_nothing(site, show):
    show(FAULTY, dry_run=True)
    assert not site.state_file.exists()


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("why", ["a pass has the lock", "there is no folder"])
def test_what_cannot_be_kept_either_changes_nothing(site, show, monkeypatch, why):
    monkeypatch.setattr(state, "_LONGEST_WAIT_SECONDS", 0.0)
    lock = Lock()
    if why == "a pass has the lock":
        lock.file(str(site.lock_file))
    else:
        (site.server / ".pids").rmdir()
    assert show(FAULTY).status == 5
    lock.release()
    assert not site.state_file.exists()


@pytest.mark.parametrize(
    ("options", "out", "err"),
    [
        ({}, None, None),
        ({"json": True}, None, None),
        ({"dry_run": True, "json": True}, None, None),
        ({"verbose": True}, "pull [it]\n", []),
        ({"dry_run": True}, "pull [it]\n", []),
        ({"verbose": True, "json": True}, "", lines("pull [it]")),
        ({"verbose": True, "json": True, "dry_run": True}, "", lines("pull [it]")),
    ],
)
def test_the_messages_of_the_log_are_shown_to_who_asked_and_never_beside_json(show, capsys, options, out, err):
    echo = show(QUIET, **options).view.echo
    if out is None:
        assert echo is None
        return
    echo("pull [it]")
    printed = capsys.readouterr()
    assert (printed.out, printed.err.splitlines()) == (out, err)


@pytest.mark.parametrize(
    ("options", "terminals", "kind"),
    [
        ({}, ("stdout",), LiveTable),
        ({"studies": ("1.2.3",)}, ("stdout",), LiveTable),
        ({}, ("stderr",), Progress),
        ({"json": True}, ("stdout",), Progress),
        ({"verbose": True}, ("stdout",), Progress),
        ({"dry_run": True}, ("stdout",), Progress),
    ],
)
def test_a_live_table_is_for_a_terminal_on_which_nothing_else_is_printed(show, options, terminals, kind):
    with show(QUIET, terminals=terminals, **options).view.progress() as progress:
        assert type(progress) is kind


# While another pass runs


def held(site: Site, silent_seconds: float = 0) -> LockHeldError:
    """What a pass meets when another one holds the lock and last logged this many seconds ago."""
    site.lock_file.touch()
    then = time.time() - silent_seconds
    os.utime(site.lock_file, (then, then))
    return LockHeldError(str(site.lock_file))


def test_R9_cron_hears_nothing_of_a_pass_that_runs(site, show):
    shown = show(held(site, MOST_SILENT_SECONDS - 60), raises=LockHeldError)
    assert (shown.out, shown.err) == ("", [])


@pytest.mark.parametrize(
    ("options", "terminals"), [({"verbose": True}, ()), ({"studies": ("1.2.3",)}, ()), ({}, ("stderr",))]
)
def test_a_person_hears_that_a_pass_runs_and_for_how_long(site, show, options, terminals):
    known = State()
    for since, text in (
        (None, ""),
        ("soon", ""),
        (clock.iso(time.time() - 7500), " and has been running for 2 h 5 min"),
    ):
        known.running_since = since
        state.save(known, str(site.state_file), f"{site.state_file}.part")
        # Also of one that hangs, this is all that is said: the person is there.
        shown = show(held(site, 3 * MOST_SILENT_SECONDS), terminals=terminals, raises=LockHeldError, **options)
        assert shown.err == lines(f"another pass holds the lock {site.lock_file}{text}; nothing was done")
        assert shown.out == ""


def test_cron_hears_once_of_a_pass_that_hangs(site, show):
    error = held(site, MOST_SILENT_SECONDS + 60)
    shown = show(error, raises=LockHeldError)
    assert shown.err == lines(
        f"a pass holds the lock {site.lock_file} and has logged nothing for 31 min: does it hang? "
        f"`fuser {site.lock_file}` names its process; when that is ended, the next pass goes on"
    )
    assert show(error, raises=LockHeldError).err == []


def test_of_requests_that_two_projects_share_only_the_other_project_says_that_its_pass_hangs(site, show):
    held(site, 3 * MOST_SILENT_SECONDS)
    shown = show(LockHeldError(str(site.data / "active-scans")), raises=LockHeldError)
    assert shown.err == []
