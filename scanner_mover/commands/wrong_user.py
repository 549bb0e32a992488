"""Warns root on a terminal before a pass makes files that the user whom cron runs cannot write."""

import os
import pwd
import shlex

from scanner_mover import config
from scanner_mover.arguments import MoveOptions
from scanner_mover.display.output import say
from scanner_mover.errors import ScannerMoverError
from scanner_mover.site.folders import DataFolders, ServerFolders, find_server_dir


def warn(options: MoveOptions, program: str) -> None:
    """Warn root, who calls us as PROGRAM, if another user runs the passes.

    That is the owner of the log or, before the first pass, of the folder of requests. The caller has checked that we
    are root on a terminal; without one, cron calls us as it should.
    """
    if options.dry_run:
        return
    try:
        project = config.project_name(options.project)
        server = ServerFolders(find_server_dir(program, os.environ, options.server_dir), project)
        settings = config.load(config.file_to_use(options.config), project, receive=False)
    except ScannerMoverError:
        return  # the pass says what is wrong
    for path in (server.log, DataFolders(settings.data_dir).active_scans):
        try:
            owner = os.stat(path).st_uid
        except OSError:
            continue
        if owner != 0:
            name = _name(owner)
            say(
                f"you are root, but {path} belongs to {name}: the passes of {name} cannot write what this pass makes; "
                f"use: sudo -u {shlex.quote(name)} scanner-mover move"
            )
        return


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
