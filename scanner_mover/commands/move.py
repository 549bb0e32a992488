"""`scanner-mover move` and `moveFromScanner.sh`: one pass, or one after the other.

A plain module, as all that cron's call imports.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from scanner_mover import clock, signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.display.output import json_line, printing, put, say
from scanner_mover.errors import LockHeldError, UnusableError
from scanner_mover.scanner.progress import Progress
from scanner_mover.site import state
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.log import Log
from scanner_mover.site.state import State
from scanner_mover.transfer.one_pass import PassResult, View, place_of, run_pass

_MOST_UNSAID = 100


def run(options: MoveOptions, program: str) -> int:
    """Make the pass or passes as PROGRAM, the path that it was called by; gives the exit status of the contract."""
    every_seconds = options.every_seconds
    if every_seconds is None:
        return make_pass(options, program)
    from scanner_mover.commands.daemon import keep_running

    return keep_running(options, program, every_seconds)


def make_pass(options: MoveOptions, program: str, log_opened: Callable[[Log], None] = lambda log: None) -> int:
    """Make one pass and show it; gives its exit status. LOG_OPENED gets its log.

    Raises LockHeldError when another pass holds the lock, Ended when a signal asks us to end.
    """
    try:
        result = run_pass(options, program, View(_echo(options), lambda: _progress(options), log_opened))
    except LockHeldError as error:
        if options.verbose or options.studies or sys.stderr.isatty():
            say(f"another pass holds the lock {error}{_since(options, program)}; nothing was done")
        else:
            _say_if_it_hangs(place_of(options, program).server, str(error))
        raise
    _show(options, program, result)
    if result.raised is not None:
        raise result.raised
    return result.exit_status


def _say_if_it_hangs(server: ServerFolders, lock: str) -> None:
    """Cron's passes are silent while another one runs, but not when that one has stopped.

    Of the folder of requests, which two projects may share, only the other project can say that.
    """
    if lock != server.lock:
        return
    from scanner_mover.transfer.hanging import line_once  # seldom needed

    text = line_once(server)
    if text is not None:
        say(text)


def _since(options: MoveOptions, program: str) -> str:
    """How long the other pass has been running, if the state file says so."""
    since = state.load(place_of(options, program).server.state)[0].running_since
    seconds = clock.age(since, time.time()) if since is not None else None
    from scanner_mover.transfer.reported import duration  # seldom needed

    return f" and has been running for {duration(seconds)}" if seconds is not None else ""


def _echo(options: MoveOptions) -> Callable[[str], object] | None:
    """What shows the messages of the log while they come, for those who asked for it."""
    if not (options.verbose or options.dry_run) or (options.json and not options.verbose):
        return None
    if options.json:
        return say
    from scanner_mover.display.tables import show_message

    return show_message


def _progress(options: MoveOptions) -> AbstractContextManager[Progress]:
    """What shows the work while it goes on: a live table on a terminal."""
    if options.json or options.verbose or options.dry_run or not sys.stdout.isatty():
        return contextlib.nullcontext(Progress())
    from scanner_mover.display.live_table import LiveTable

    return LiveTable()


def _show(options: MoveOptions, program: str, result: PassResult) -> None:
    """What is new goes to standard error; on a terminal, and in a dry run, what still holds too.

    With --study, what is wrong with the study is printed even if a pass of cron has reported it before.
    """
    unsaid: list[str] = []
    for change in result.new:
        if unsaid or not say(change.text):  # after a line that nobody reads the next one does not wait
            unsaid.append(change.text)
    if unsaid and not options.dry_run:
        with signals.deferred():
            _keep(unsaid, place_of(options, program).server)
    everything = options.dry_run or sys.stderr.isatty()
    by_hand = result.again if options.is_by_hand else ()
    for line in result.standing if everything else by_hand:
        say(line)
    if result.report is None or result.raised is not None:
        return
    if options.json:
        put(json_line(result.report.to_json()))
    elif sys.stdout.isatty() or options.verbose or options.dry_run:
        from scanner_mover.display.tables import show_summary

        with printing():
            show_summary(result.report)


def _keep(unsaid: list[str], server: ServerFolders) -> None:
    """Keep the lines that could not be written to standard error, a file on a full disk: the next pass says them."""

    def put(known: State) -> None:
        known.unsaid = [*known.unsaid, *(line for line in unsaid if line not in known.unsaid)][-_MOST_UNSAID:]

    with contextlib.suppress(UnusableError):
        state.change_soon(server, put)
