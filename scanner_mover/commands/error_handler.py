"""What every subcommand has around it: signals, and one line for what a user, a file, a network or a scanner caused."""

from collections.abc import Callable

from scanner_mover import signals
from scanner_mover.display.output import say
from scanner_mover.errors import Ended, LockHeldError, ScannerMoverError


def command(action: Callable[[], int]) -> int:
    """Call ACTION and give its exit status, or the one of the contract for what went wrong."""
    signals.install()
    try:
        return action()
    except LockHeldError as error:
        return error.exit_status  # nothing is printed (R9)
    except ScannerMoverError as error:
        say(str(error))
        return error.exit_status
    except Ended as ended:
        return ended.exit_status
    finally:
        signals.over()
