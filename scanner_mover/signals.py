"""SIGTERM, SIGINT and SIGHUP end a pass in order (R27): they become an exception in the main thread."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from scanner_mover.errors import Ended

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_deferring = 0
_pending = 0


def _end(number: int, frame: FrameType | None) -> None:
    global _pending
    if _deferring:
        _pending = _pending or number
    else:
        raise Ended(number)


def install(on_hangup: Callable[[], None] | None = None) -> None:
    """Make the ending signals raise `Ended`; one that our parent told us to ignore (`nohup`) stays ignored.

    With ON_HANGUP, SIGHUP does not end us but calls it.
    """
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    if on_hangup is not None:
        signal.signal(signal.SIGHUP, lambda number, frame: on_hangup())


@contextmanager
def deferred() -> Iterator[None]:
    """Within it a signal is only noted; `Ended` is raised at its end.

    For the few steps that must not be torn: between a fork and having hold of the child, a clean-up.
    """
    global _deferring, _pending
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
        if not _deferring and _pending:
            number, _pending = _pending, 0
            raise Ended(number)
