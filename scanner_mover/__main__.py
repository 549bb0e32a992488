"""`scanner-mover`, which is also `python -m scanner_mover`: what is plain at once, everything else by way of typer."""

import sys


def main() -> None:
    """The console script `scanner-mover`; ends the process with the exit status of the contract."""
    from scanner_mover import signals

    signals.before_install()
    from scanner_mover import arguments
    from scanner_mover.output import keep_standard_streams

    keep_standard_streams()
    plain = arguments.of_move(sys.argv[1:])
    if plain is not None:
        from scanner_mover.commands import move
        from scanner_mover.single_pass import Options

        sys.exit(move.run(Options(**plain), sys.argv[0]))
    plain = arguments.of_status(sys.argv[1:])
    if plain is not None:
        from scanner_mover.commands import status

        sys.exit(status.run(status.Options(**plain), sys.argv[0]))
    from scanner_mover.cli import app

    app(prog_name="scanner-mover")


if __name__ == "__main__":
    main()
