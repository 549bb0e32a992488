"""`scanner-mover status`: where everything stands, for the person on call and for monitoring."""

import json
import os
import sys

from scanner_mover import config
from scanner_mover.arguments import StatusOptions
from scanner_mover.commands.error_handler import command
from scanner_mover.display.output import printing, say
from scanner_mover.errors import ExitStatus, UsageError
from scanner_mover.site.folders import ServerFolders, find_server_dir
from scanner_mover.transfer.overview import look


def run(options: StatusOptions, program: str) -> int:
    """Print what was asked for; gives the exit status of the contract."""
    return command(lambda: _run(options, program))


def _run(options: StatusOptions, program: str) -> int:
    if (options.since is not None or options.request) and not options.audit:
        raise UsageError("--since and --request belong to --audit")
    if sum((options.json and not options.audit, options.prometheus, options.check, options.audit)) > 1:
        raise UsageError("of --json, --prometheus, --check and --audit only one can be shown (--audit also as --json)")
    project = config.project_name(options.project)
    server = ServerFolders(os.path.abspath(options.server_dir or find_server_dir(program, os.environ)), project)
    file = config.file_to_use(options.config)
    if options.check:
        from scanner_mover.commands import check

        return check.run(file, project, server)
    settings = config.load(file, project, receive=False)
    if options.audit:
        from scanner_mover.commands import audit

        return audit.run(settings, since=options.since, request=options.request, as_json=options.json)
    overview = look(settings, server)
    for problem in overview.problems:
        say(problem)
    with printing():
        if options.json:
            print(json.dumps(overview.to_json()))
        elif options.prometheus:
            from scanner_mover.display.prometheus import metrics

            print(metrics(overview), end="")
        elif sys.stdout.isatty():
            from scanner_mover.display.tables import show_overview

            show_overview(overview)
        elif options.max_age_seconds is None:
            from scanner_mover.display.plain import table

            print("\n".join(table(overview)))
    age, most = overview.last_pass_age_seconds, options.max_age_seconds
    # A pass that is running now may take longer than that: to end it for its health would end it again and again.
    if most is not None and not overview.running and (age is None or age > most):
        say("there never was a pass" if age is None else f"the last pass is {age:.0f} seconds old: does cron run us?")
        return ExitStatus.ATTENTION
    return ExitStatus.OK
