"""`scanner-mover move` and `moveFromScanner.sh`: one pass, or one after the other.

A plain module, as all that cron's call imports.
"""

from scanner_mover.arguments import MoveOptions
from scanner_mover.transfer.one_pass import OnePass


def run(options: MoveOptions, program: str) -> int:
    """Make the pass or passes as PROGRAM, the path that it was called by; gives the exit status of the contract."""
    every_seconds = options.every_seconds
    if every_seconds is None:
        return OnePass(options, program).run()
    from scanner_mover.commands.daemon import keep_running

    return keep_running(options, program, every_seconds)
