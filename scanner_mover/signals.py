"""SIGTERM, SIGINT and SIGHUP end a pass in order (R27): where it can end, never in the middle of a step.

The handler only notes the signal. `Ended` is raised by `check`, between two steps, by what waits (`waiting`, `sleep`),
and at the end of `deferred`. A handler that always raises would do so between any two instructions, within Python's own
locks too (the documentation of `signal`, "Note on Signal Handlers and Exceptions"): what waits for a thread just then
ends with `RuntimeError: release unlocked lock`. A plain module.
"""

import signal
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from scanner_mover.errors import Ended
from scanner_mover.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_main_thread = get_ident()
_deferring = 0
_waits = False
_asked = 0
_raised = False
_over = True


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    if _asked or _over:
        return  # we are ending already, and the clean-up must not be cut short
    _asked = number
    if _waits:
        check()


def before_install() -> None:
    """Until `install` is called, Ctrl-C ends the process without a traceback, in the middle of an import too."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def install(on_hangup: Callable[[], None] | None = None) -> None:
    """From now on the first of the ending signals is noted, for `check` and for what waits.

    A signal that our parent told us to ignore (`nohup`) stays ignored. With ON_HANGUP, SIGHUP calls it instead, in the
    middle of whatever goes on. Raises `Ended` when a signal has come since this was called first.
    """
    global _asked, _raised, _over
    if _over:
        _asked, _raised, _over = 0, False, False
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    sys.unraisablehook = _unraisable
    if on_hangup is not None:
        signal.signal(signal.SIGHUP, lambda number, frame: on_hangup())
    check()


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python swallows what is raised in some of its callbacks, and prints it: `check` raises an `Ended` again."""
    global _raised
    if unraisable.exc_type is Ended:
        _raised = False
    else:
        sys.__unraisablehook__(unraisable)


def before_exec() -> None:
    """Until the program that takes our place has called `install`, SIGTERM and SIGINT end it, SIGHUP does nothing.

    Raises `Ended` when a signal has come before.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        check()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def is_ending() -> bool:
    """Whether we were asked to end."""
    return _asked != 0


def over() -> None:
    """From now on signals change nothing any more: only the exit status is left to give."""
    global _over
    _over = True


def check() -> None:
    """Raise `Ended` if we were asked to end, unless that was done before. For the time between two steps."""
    global _raised
    if _asked and not (_raised or _deferring or _over):
        _raised = True
        raise Ended(_asked)


def waiting(wait: "Callable[..., T]", *arguments: object) -> "T":
    """Call WAIT with ARGUMENTS and give its result; a signal raises `Ended` at once, as `check` does.

    WAIT is a function of Python's own that does nothing but wait: it is interrupted wherever it is. In another thread
    than the main one it is only called: that one alone gets signals.
    """
    global _waits
    if get_ident() != _main_thread:
        return wait(*arguments)
    before, _waits = _waits, True
    try:
        check()
        return wait(*arguments)
    finally:
        _waits = before


def sleep(seconds: float) -> None:
    """Sleep for SECONDS, not at all when they are below 0. Raises `Ended` as `check` does."""
    waiting(time.sleep, max(0.0, seconds))  # noqa: TID251


@contextmanager
def deferred() -> Iterator[None]:
    """While the `with` lasts, nothing raises `Ended`; its end does, as `check`.

    For a clean-up that waits or prints: it must not be cut short.
    """
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
        check()
