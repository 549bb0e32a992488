"""`scanner-mover status`: where everything stands, for the person on call and for monitoring."""

import os
import sys

from scanner_mover import config
from scanner_mover.arguments import StatusOptions
from scanner_mover.display.output import json_line, put, say
from scanner_mover.errors import ExitStatus, UsageError
from scanner_mover.site.folders import ServerFolders, find_server_dir
from scanner_mover.text import in_seconds
from scanner_mover.transfer.overview import Overview, look


def run(options: StatusOptions, program: str) -> int:
    """Print what was asked for; gives the exit status of the contract."""
    _check(options)
    project = config.project_name(options.project)
    server = ServerFolders(find_server_dir(program, os.environ, options.server_dir), project)
    file = config.file_to_use(options.config)
    if options.check:
        from scanner_mover.commands import check

        return check.run(file, project, server)
    settings = config.load(file, project, receive=False)
    if options.audit:
        from scanner_mover.commands import audit

        return audit.run(settings, server, options)
    overview = look(settings, server)
    for problem in overview.problems:
        say(problem)
    _show(overview, options)
    return _age(overview, options.max_age_seconds)


def _check(options: StatusOptions) -> None:
    """Raises UsageError for options that do not go together."""
    if (options.since is not None or options.request) and not options.audit:
        raise UsageError("--since and --request belong to --audit")
    forms = (options.json and not options.audit, options.prometheus, options.html, options.check, options.audit)
    if sum(forms) > 1:
        raise UsageError(
            "of --json, --prometheus, --html, --check and --audit only one can be shown (--audit also as --json)"
        )
    if options.output is not None and (options.check or not options.output):
        raise UsageError("--output takes the name of a file, and is not for --check")


def _show(overview: Overview, options: StatusOptions) -> None:
    """Print OVERVIEW in the form that was asked for. Raises UnusableError when the file cannot be written."""
    if options.json:
        put(json_line(overview.to_json()), options.output)
    elif options.prometheus:
        from scanner_mover.display.prometheus import metrics

        put(metrics(overview), options.output)
    elif options.html:
        from scanner_mover.display.html import page

        put(page(overview), options.output)
    elif options.output is None and sys.stdout.isatty():
        from scanner_mover.display.status_screen import show_overview

        show_overview(overview)
    elif options.output is not None or options.max_age_seconds is None:
        from scanner_mover.display.plain import table

        put("".join(f"{line}\n" for line in table(overview)), options.output)


def _age(overview: Overview, most: float | None) -> ExitStatus:
    """Whether the last pass is older than MOST seconds, for health checks.

    A pass that is running now may take longer, as long as it goes on: a health check that ends it would end it again
    and again.
    """
    age = overview.last_pass_age_seconds
    if most is not None and overview.hangs is not None:
        say(overview.hangs)
        return ExitStatus.ATTENTION
    if most is None or overview.running or (age is not None and age <= most):
        return ExitStatus.OK
    if age is None:
        say("there never was a pass")
    else:
        say(f"the last pass is {in_seconds(age)} old: does cron run us?")
    return ExitStatus.ATTENTION
