"""Both programs' way in. What cron and monitoring call goes straight to the work; typer reads everything else.

`scanner-mover` is also `python -m scanner_mover`; `moveFromScanner.sh` takes the reference's one optional argument.
To import typer takes longer than a pass with nothing to do, so only plain modules are imported before it is needed.
"""

import sys

_HELP = """\
usage: moveFromScanner.sh [PROJECT]

Makes one pass over the requested studies, as `scanner-mover move [PROJECT]` does, which has options and says more:
`scanner-mover move --help` lists the exit statuses, which are the same.
"""
_OLDEST_PYTHON = (3, 11)


def main() -> None:
    """The console script `scanner-mover`; ends the process with its exit status."""
    _end("scanner-mover")


def move_from_scanner() -> None:
    """The console script `moveFromScanner.sh`; ends the process with its exit status."""
    _end("moveFromScanner.sh")


def _end(name: str) -> None:
    if sys.version_info < _OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(f"scanner-mover: this is Python {found}, but 3.11 or newer is needed\n")
        sys.exit(4)  # ExitStatus.UNUSABLE, which such a Python may not be able to read
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover.display.output import finish, keep_standard_streams

    keep_standard_streams()
    try:
        exit_status = _move_from_scanner() if name == "moveFromScanner.sh" else _scanner_mover()
    except Exception as error:
        from scanner_mover.commands.error_handler import internal_error

        exit_status = internal_error(error)
    sys.exit(finish(exit_status, was_the_job=True))


def _scanner_mover() -> int:
    from scanner_mover.arguments import read_plain

    options = read_plain(sys.argv[1:])
    if options is not None:
        from scanner_mover import commands

        return commands.run(options, sys.argv[0])
    from scanner_mover.cli import app

    try:
        app(prog_name="scanner-mover")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _move_from_scanner() -> int:
    from scanner_mover import commands
    from scanner_mover.arguments import MoveOptions
    from scanner_mover.display.output import say
    from scanner_mover.errors import ExitStatus

    program, *arguments = sys.argv
    if arguments in (["-h"], ["--help"]):
        print(_HELP, end="")
        return ExitStatus.OK
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        say("usage: moveFromScanner.sh [PROJECT]")
        return ExitStatus.USAGE
    return commands.run(MoveOptions(project=arguments[0] if arguments else None), program)


if __name__ == "__main__":
    main()
