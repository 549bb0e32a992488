"""The exit statuses of the command line, which scripts rely on, and the errors that lead to them.

A plain module: a pass with nothing to do imports it.
"""

import enum
from collections.abc import Iterable


class ExitStatus(enum.IntEnum):
    """What the process ends with. After signal n it is 128 + n instead."""

    OK = 0
    LOCK_HELD = 1
    ATTENTION = 1
    USAGE = 2
    CONFIGURATION = 3
    UNUSABLE = 4
    SCANNER = 5
    REQUEST_FAILED = 6
    INTERNAL = 70


_ENDED_BY_SIGNAL = 128
_WORST_FIRST = (
    ExitStatus.INTERNAL,
    ExitStatus.USAGE,
    ExitStatus.CONFIGURATION,
    ExitStatus.UNUSABLE,
    ExitStatus.REQUEST_FAILED,
    ExitStatus.SCANNER,
    ExitStatus.ATTENTION,
    ExitStatus.OK,
)


def worst(statuses: Iterable[int]) -> int:
    """The exit status that the process ends with when all STATUSES hold; without any, `ExitStatus.OK`.

    A signal comes first, then an error of ours, then what kept the pass from doing anything, then a request that
    failed, then the scanner. A number without a meaning counts as an error of ours.
    """
    every = set(statuses)
    signals = [status for status in every if status > _ENDED_BY_SIGNAL]
    if signals:
        return max(signals)
    if every.difference(_WORST_FIRST):
        return ExitStatus.INTERNAL
    return next((status for status in _WORST_FIRST if status in every), ExitStatus.OK)


class ScannerMoverError(Exception):
    """Something that a user, a file, a network or a scanner caused: one line, never a traceback."""

    exit_status: ExitStatus = ExitStatus.UNUSABLE


class UsageError(ScannerMoverError):
    """The command line cannot be understood."""

    exit_status = ExitStatus.USAGE


class ConfigurationError(ScannerMoverError):
    """The configuration cannot be used; the text names the file, the key and what is wrong (R4)."""

    exit_status = ExitStatus.CONFIGURATION


class UnknownProjectError(ConfigurationError):
    """The configuration has no such project: nothing may be made for it, neither a log nor a lock nor a state."""


class UnusableError(ScannerMoverError):
    """A tool, a dictionary, a folder or a disk cannot be used; the text says what to install or do."""

    exit_status = ExitStatus.UNUSABLE


class LockHeldError(ScannerMoverError):
    """Another pass holds the lock: nothing is printed, nothing is logged (R9)."""

    exit_status = ExitStatus.LOCK_HELD


class Ended(BaseException):
    """A signal asked us to end (R27). It is no Exception, as KeyboardInterrupt is none, so that no handler takes it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.exit_status = _ENDED_BY_SIGNAL + signal_number


def reason(error: OSError) -> str:
    """What the system says of ERROR, without the number and the file name: `Permission denied`."""
    return error.strerror or str(error) or type(error).__name__
