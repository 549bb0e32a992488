"""`scanner-mover move` and `moveFromScanner.sh`: one pass, or one after the other.

A plain module, as all that cron's call imports.
"""

from scanner_mover import signals
from scanner_mover.errors import Ended, LockHeldError, UsageError
from scanner_mover.output import say
from scanner_mover.single_pass import OnePass, Options


def run(options: Options, program: str) -> int:
    """Make the pass or passes as PROGRAM, the path that it was called by; gives the exit status of the contract."""
    try:
        if options.every_seconds is not None:
            from scanner_mover.every import keep_running

            return keep_running(options, program, options.every_seconds)
        signals.install()
        return OnePass(options, program).run()
    except UsageError as error:
        say(str(error))
        return error.exit_status
    except LockHeldError as error:
        return error.exit_status
    except Ended as ended:
        return ended.exit_status
