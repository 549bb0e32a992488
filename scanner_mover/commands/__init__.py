"""One module for each subcommand: options in, exit status out. A plain module."""

import os
import sys

from scanner_mover import config
from scanner_mover.arguments import MoveOptions, StatusOptions
from scanner_mover.commands.error_handler import command
from scanner_mover.display.output import limit_waiting
from scanner_mover.record import TYPE_CHECKING
from scanner_mover.site.folders import ServerFolders, find_server_dir

if TYPE_CHECKING:
    from scanner_mover.subcommands import Options


def run(options: "Options", program: str) -> int:
    """Run the subcommand that OPTIONS belong to, as PROGRAM, the path that it was called by.

    Gives the exit status; raises nothing.
    """
    return command(
        lambda: _run(options, program),
        log=lambda: log_of(options, program),
        prints=not isinstance(options, MoveOptions) or options.json,
    )


def _run(options: "Options", program: str) -> int:
    match options:
        case MoveOptions():
            from scanner_mover.commands import move

            limit_waiting()
            if os.geteuid() == 0 and sys.stderr.isatty():
                from scanner_mover.commands import wrong_user

                wrong_user.warn(options, program)
            return move.run(options, program)
        case StatusOptions():
            from scanner_mover.commands import status

            return status.run(options, program)
    from scanner_mover.arguments_by_hand import DemoOptions, FindOptions, InitOptions

    match options:
        case FindOptions():
            from scanner_mover.commands import find

            return find.run(options)
        case InitOptions():
            from scanner_mover.commands import init

            return init.run(options, program)
        case DemoOptions():
            from scanner_mover.commands import demo

            return demo.run(options.keep)


def log_of(options: "Options", program: str) -> str | None:
    """The path of the log that the subcommand may write into; None when there is none, as in a dry run.

    Raises UsageError.
    """
    if not isinstance(options, MoveOptions | StatusOptions) or (isinstance(options, MoveOptions) and options.dry_run):
        return None
    server_dir = find_server_dir(program, os.environ, options.server_dir)
    return ServerFolders(server_dir, config.project_name(options.project)).log
