"""One module for each subcommand: options in, exit status out. A plain module."""

from scanner_mover.arguments import DemoOptions, FindOptions, MoveOptions, Options, StatusOptions


def run(options: Options, program: str) -> int:
    """Run the subcommand that OPTIONS belong to, as PROGRAM, the path that it was called by; gives the exit status."""
    match options:
        case MoveOptions():
            from scanner_mover.commands import move

            return move.run(options, program)
        case StatusOptions():
            from scanner_mover.commands import status

            return status.run(options, program)
        case FindOptions():
            from scanner_mover.commands import find

            return find.run(options)
        case DemoOptions():
            from scanner_mover.commands import demo

            return demo.run(options.keep)
