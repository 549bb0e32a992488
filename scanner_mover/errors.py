"""The exit statuses of the contract, and the errors that lead to them.

A plain module: it is imported by passes that have nothing to do and must not cost anything.
"""

OK = 0
LOCK_HELD = 1
ATTENTION = 1
USAGE = 2
CONFIGURATION = 3
UNUSABLE = 4
SCANNER = 5


class ScannerMoverError(Exception):
    """Something that a user, a file, a network or a scanner caused: one line, never a traceback."""

    exit_status = UNUSABLE


class UsageError(ScannerMoverError):
    """The command line cannot be understood."""

    exit_status = USAGE


class ConfigurationError(ScannerMoverError):
    """The configuration cannot be used; the text names the file, the key and what is wrong (R4)."""

    exit_status = CONFIGURATION


class UnusableError(ScannerMoverError):
    """A tool, a dictionary, a folder or a disk cannot be used; the text says what to install or do."""

    exit_status = UNUSABLE


class LockHeldError(ScannerMoverError):
    """Another pass holds the lock: nothing is printed, nothing is logged (R9)."""

    exit_status = LOCK_HELD


class Ended(BaseException):
    """A signal asked us to end (R27). Like KeyboardInterrupt no error, so that no handler of errors swallows it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_status = 128 + signal_number


def reason(error: OSError) -> str:
    """What the system says of ERROR, without the number and the file name: `Permission denied`."""
    return error.strerror or str(error) or type(error).__name__
