"""What every subcommand has around it: signals, and one line for what a user, a file, a network or a scanner caused.

An error of ours is the only one that leaves a traceback: in the log, where there is one. A plain module.
"""

import errno
import os
import sys
from collections.abc import Callable

from scanner_mover import signals
from scanner_mover.display.output import finish, give_up, say
from scanner_mover.errors import Ended, ExitStatus, LockHeldError, ScannerMoverError


def command(action: Callable[[], int], *, log: Callable[[], str | None], prints: bool) -> int:
    """Call ACTION and give its exit status, or that of what went wrong.

    LOG gives the path of the log that a traceback belongs into. PRINTS says whether standard output is what ACTION is
    called for.
    """
    try:
        signals.install()
        exit_status = _attempt(action, log)
        signals.check()
        return finish(exit_status, was_the_job=prints)
    except Ended as ended:
        give_up(sys.stdout)
        return ended.exit_status
    finally:
        signals.over()


def _attempt(action: Callable[[], int], log: Callable[[], str | None]) -> int:
    try:
        return action()
    except LockHeldError as error:
        return error.exit_status  # nothing is printed (R9)
    except ScannerMoverError as error:
        say(str(error))
        return error.exit_status
    except Exception as error:
        return internal_error(error, log)


def internal_error(error: Exception, log: Callable[[], str | None] = lambda: None) -> int:
    """Keep the traceback of ERROR, which is ours, in the log, or else show it; gives the exit status 70.

    A package that is not installed, and a limit on open files, are no errors of ours: exit status 4.
    """
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] != "scanner_mover":
        say(f"the Python package {error.name} is missing: install scanner-mover again, with pip, which brings it")
        return ExitStatus.UNUSABLE
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        say("too few files may be open at once: raise the limit (ulimit -n)")
        return ExitStatus.UNUSABLE
    import traceback

    lines = [line for part in traceback.format_exception(error) for line in part.rstrip("\n").split("\n")]
    place = _keep(lines, log)
    if place is None:
        for line in lines:
            say(line)
    where = f"its traceback is in {place}" if place is not None else "its traceback stands above"
    say(f"an error of scanner-mover itself ({type(error).__name__}); nothing is lost; {where}: please report it")
    return ExitStatus.INTERNAL


def _keep(lines: list[str], log: Callable[[], str | None]) -> str | None:
    """Append LINES to the log; gives its path, None when there is no log or it cannot be written."""
    from scanner_mover.site.log import Log

    try:
        path = log()
        if path is None or not os.path.exists(path):
            return None
        file = Log(path)
    except ScannerMoverError:
        return None
    try:
        for line in lines:
            file(line)
    finally:
        file.close()
    return path if file.failure is None else None
