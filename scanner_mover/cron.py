"""`moveFromScanner.sh`: the reference's one optional argument, and what `scanner-mover move` does.

Nothing but plain modules here: cron calls it every 15 seconds, and nearly always there is nothing to do.
"""

import sys

_HELP = """\
usage: moveFromScanner.sh [PROJECT]

One pass over the requested studies, as `scanner-mover move [PROJECT]`, which has options and says more.
"""


def main() -> None:
    """The console script; ends the process with the exit status of the contract."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover.commands.move import run
    from scanner_mover.errors import OK, USAGE
    from scanner_mover.output import keep_standard_streams, say
    from scanner_mover.single_pass import Options

    keep_standard_streams()
    program, *arguments = sys.argv
    if arguments in (["-h"], ["--help"]):
        print(_HELP, end="")
        sys.exit(OK)
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        say("usage: moveFromScanner.sh [PROJECT]")
        sys.exit(USAGE)
    sys.exit(run(Options(project=arguments[0] if arguments else None), program))
