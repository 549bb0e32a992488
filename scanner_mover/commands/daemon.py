"""`move --every SECONDS`: one pass after the other until SIGTERM or SIGINT."""

import contextlib
import sys
import time
from collections.abc import Callable

from scanner_mover import signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import installed, log_of
from scanner_mover.commands.error_handler import internal_error
from scanner_mover.commands.move import make_pass
from scanner_mover.commands.systemd import Systemd
from scanner_mover.display import output
from scanner_mover.errors import Ended, ExitStatus, LockHeldError, ScannerMoverError, UnusableError, UsageError
from scanner_mover.site.log import Log
from scanner_mover.transfer.one_pass import place_of

_SECONDS_BETWEEN_STARTS = 60


def keep_running(options: MoveOptions, program: str, every_seconds: float) -> int:
    """Make passes at fixed times, EVERY_SECONDS apart, until a signal ends it; gives exit status 0.

    A pass that takes longer makes the next one start at once; what was missed is not caught up. Each pass reads the
    configuration anew and takes the lock as cron's would, so both may be on. SIGHUP reopens the log.

    Raises UsageError.
    """
    if every_seconds <= 0:
        raise UsageError("--every takes seconds above 0")
    return _Daemon(options, program).run(every_seconds)


class _Daemon:
    """The passes of one process, and what it remembers between them."""

    def __init__(self, options: MoveOptions, program: str) -> None:
        self._options = options
        self._program = program
        self._log_path = log_of(options, program)
        place_of(options, program)  # options that cannot be are refused before the first pass
        self._logs: list[Log] = []
        self._systemd = Systemd()
        self._installed = installed.fingerprint()
        self._failed_start: installed.Fingerprint | None = None
        self._last_try = 0.0
        self._reported: frozenset[str] = frozenset()

    def run(self, every_seconds: float) -> int:
        try:
            installed.load_all(for_a_terminal=sys.stdout.isatty() or self._options.verbose or self._options.dry_run)
            self._listen()
            due = time.monotonic()
            while True:
                self._make_pass()
                signals.check()
                now = time.monotonic()
                # The next of the fixed times. All that went by during the pass are made up for by one pass at once.
                missed = (now - due) // every_seconds
                due += every_seconds * max(1.0, missed)
                signals.sleep(due - now)
                self._renew()
        except Ended:
            return ExitStatus.OK
        finally:
            self._systemd.stopping()

    def _listen(self) -> None:
        signals.install(on_hangup=self._reopen)
        self._systemd.ready()

    def _reopen(self) -> None:
        for log in self._logs:
            log.reopen()

    def _make_pass(self) -> None:
        """Make a pass, whatever becomes of it. What is wrong in each pass is said when it begins, as a pass does."""
        self._logs.clear()
        wrong: dict[str, Callable[[], object]] = {}
        try:
            with contextlib.suppress(LockHeldError):  # cron's pass is at work
                make_pass(self._options, self._program, self._logs.append)
        except ScannerMoverError as error:
            text = str(error)
            wrong[text] = lambda: output.say(text)
        except Exception as error:
            # The next pass may do better: it begins with nothing but the files.
            kept = error
            wrong[f"{type(error).__name__}: {error}"] = lambda: internal_error(kept, lambda: self._log_path)
        output.bring_out()
        for text_of_it, report in wrong.items():
            if text_of_it not in self._reported:
                report()
        self._reported = frozenset(wrong)

    def _renew(self) -> None:
        """Where another version was installed, put it into our place, once it starts: pip may still be at work."""
        now = installed.fingerprint()
        if now == self._installed:
            return
        if now == self._failed_start and time.monotonic() - self._last_try < _SECONDS_BETWEEN_STARTS:
            return
        known = now == self._failed_start
        if installed.starts() and installed.fingerprint() == now:
            self._note("the installed program has changed: it takes over")
            self._systemd.pause()
            signals.before_exec()
            with contextlib.suppress(OSError):
                installed.execute_anew()
            self._listen()
        self._failed_start, self._last_try = now, time.monotonic()
        if not known:
            self._note("the installed program has changed and does not start: the old one goes on")

    def _note(self, text: str) -> None:
        """Say TEXT in the log, which only a pass has open."""
        with contextlib.suppress(UnusableError):
            log = Log(self._log_path)
            log(text)
            log.close()
