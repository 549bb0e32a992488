"""`scanner-mover`, which is also `python -m scanner_mover`: a plain `move` at once, everything else by way of typer."""

import sys

from scanner_mover.arguments import of_move
from scanner_mover.output import keep_standard_streams


def main() -> None:
    """The console script `scanner-mover`; ends the process with the exit status of the contract."""
    keep_standard_streams()
    options = of_move(sys.argv[1:])
    if options is not None:
        from scanner_mover.commands.move import run

        sys.exit(run(options, sys.argv[0]))
    from scanner_mover.cli import app

    app(prog_name="scanner-mover")


if __name__ == "__main__":
    main()
