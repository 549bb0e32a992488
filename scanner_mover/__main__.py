"""Both programs' way in. What cron and monitoring call goes straight to the work; typer reads everything else.

`scanner-mover` is also `python -m scanner_mover`; `moveFromScanner.sh` takes the reference's one optional argument.
Importing typer takes longer than a pass with nothing to do, so only plain modules are imported before it is needed.
"""

import sys

_HELP = """\
usage: moveFromScanner.sh [PROJECT]

One pass over the requested studies, as `scanner-mover move [PROJECT]`, which has options and says more.
"""


def main() -> None:
    """The console script `scanner-mover`; ends the process with the exit status of the contract."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover import arguments
    from scanner_mover.display.output import keep_standard_streams

    keep_standard_streams()
    plain = arguments.of_move(sys.argv[1:])
    if plain is not None:
        from scanner_mover.commands import move
        from scanner_mover.transfer.one_pass import Options

        sys.exit(move.run(Options(**plain), sys.argv[0]))
    plain = arguments.of_status(sys.argv[1:])
    if plain is not None:
        from scanner_mover.commands import status

        sys.exit(status.run(status.Options(**plain), sys.argv[0]))
    from scanner_mover.cli import app

    app(prog_name="scanner-mover")


def move_from_scanner() -> None:
    """The console script `moveFromScanner.sh`; ends the process with the exit status of the contract."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover.commands.move import run
    from scanner_mover.display.output import keep_standard_streams, say
    from scanner_mover.errors import ExitStatus
    from scanner_mover.transfer.one_pass import Options

    keep_standard_streams()
    program, *arguments = sys.argv
    if arguments in (["-h"], ["--help"]):
        print(_HELP, end="")
        sys.exit(ExitStatus.OK)
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        say("usage: moveFromScanner.sh [PROJECT]")
        sys.exit(ExitStatus.USAGE)
    sys.exit(run(Options(project=arguments[0] if arguments else None), program))


if __name__ == "__main__":
    main()
