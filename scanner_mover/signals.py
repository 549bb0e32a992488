"""SIGTERM, SIGINT and SIGHUP end a pass in order (R27): they become an exception in the main thread. A plain module."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from scanner_mover.errors import Ended

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_deferring = 0
_asked = 0
_over = True


def _end(number: int, frame: FrameType | None) -> None:
    global _asked
    if _asked or _over:
        return  # we are ending already, and the clean-up must not be cut short
    _asked = number
    if not _deferring:
        raise Ended(number)


def before_install() -> None:
    """Until `install` is called, Ctrl-C ends the process without a traceback, in the middle of an import too."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def install(on_hangup: Callable[[], None] | None = None) -> None:
    """From now on the first of the ending signals raises `Ended` in the main thread.

    A signal that our parent told us to ignore (`nohup`) stays ignored. With ON_HANGUP, SIGHUP calls it instead. Raises
    `Ended` when a signal has come since this was called first.
    """
    global _asked, _over
    if _over:
        _asked, _over = 0, False
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    sys.unraisablehook = _unraisable
    if on_hangup is not None:
        signal.signal(signal.SIGHUP, lambda number, frame: on_hangup())
    check()


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python swallows what is raised in some of its callbacks, and prints it: `check` raises an `Ended` once more."""
    if unraisable.exc_type is not Ended:
        sys.__unraisablehook__(unraisable)


def before_exec() -> None:
    """Until the program that takes our place has called `install`, SIGTERM and SIGINT end it, SIGHUP does nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def is_ending() -> bool:
    """Whether we were asked to end."""
    return _asked != 0


def over() -> None:
    """From now on signals change nothing any more: only the exit status is left to give."""
    global _over
    _over = True


def check() -> None:
    """Raise `Ended` if we were asked to end.

    Python swallows an exception that is raised in some of its callbacks, and the signal would be lost with it.
    """
    if _asked and not _deferring:
        raise Ended(_asked)


@contextmanager
def deferred() -> Iterator[None]:
    """While the `with` lasts, a signal is only noted. `Ended` is raised at its end.

    For the few steps that must not be cut short: from a fork until the child is known, and a clean-up.
    """
    global _deferring
    asked = _asked
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
        if not _deferring and _asked and not asked:
            raise Ended(_asked)
