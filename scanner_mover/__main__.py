"""Both programs' way in. What cron and monitoring call goes straight to the work; typer reads everything else.

`scanner-mover` is also `python -m scanner_mover`; `moveFromScanner.sh` takes the reference's one optional argument.
To import typer takes longer than a pass with nothing to do, so only plain modules are imported before it is needed.
"""

import sys

_HELP = """\
usage: moveFromScanner.sh [PROJECT]

Makes one pass over the requested studies, as `scanner-mover move [PROJECT]` does, which has options and says more.
"""


def main() -> None:
    """The console script `scanner-mover`; ends the process with its exit status."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover.arguments import read_plain
    from scanner_mover.display.output import keep_standard_streams

    keep_standard_streams()
    options = read_plain(sys.argv[1:])
    if options is not None:
        from scanner_mover import commands

        sys.exit(commands.run(options, sys.argv[0]))
    from scanner_mover.cli import app

    app(prog_name="scanner-mover")


def move_from_scanner() -> None:
    """The console script `moveFromScanner.sh`; ends the process with its exit status."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover import commands
    from scanner_mover.arguments import MoveOptions
    from scanner_mover.display.output import keep_standard_streams, say
    from scanner_mover.errors import ExitStatus

    keep_standard_streams()
    program, *arguments = sys.argv
    if arguments in (["-h"], ["--help"]):
        print(_HELP, end="")
        sys.exit(ExitStatus.OK)
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        say("usage: moveFromScanner.sh [PROJECT]")
        sys.exit(ExitStatus.USAGE)
    sys.exit(commands.run(MoveOptions(project=arguments[0] if arguments else None), program))


if __name__ == "__main__":
    main()
