"""`scanner-mover status --check`: tests the set-up; each line says ok, or what to do."""

import os
from collections.abc import Callable, Iterator

from rich.text import Text

from scanner_mover import config
from scanner_mover.commands import check_configuration, check_receiving, check_scanner, check_server
from scanner_mover.commands.check_line import Finding, Findings, Verdict, fix
from scanner_mover.config import Settings
from scanner_mover.display.terminal import show
from scanner_mover.errors import ConfigurationError, ExitStatus, ScannerMoverError, reason
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.text import counted, printable

_WORDS = {
    Verdict.OK: Text("ok   ", style="green"),
    Verdict.FIX: Text("fix: ", style="bold red"),
    Verdict.NOT_TESTED: Text("not tested: ", style="yellow"),
    Verdict.BUSY: Text("not tested: ", style="yellow"),
}


def run(file: str, project: str, server: ServerFolders) -> int:
    """Test the set-up and print each finding as it comes, and a sentence at the end.

    Gives exit status 1 when anything needs attention.
    """
    to_fix = 0
    is_untested = False
    for finding in check(file, project, server):
        to_fix += finding.verdict is Verdict.FIX
        is_untested = is_untested or finding.verdict is Verdict.BUSY
        show(Text.assemble(_WORDS[finding.verdict], printable(finding.text)), soft_wrap=True)
    last = (
        Text(f"{counted(to_fix, 'thing', 'things')} to fix", "bold red")
        if to_fix
        else Text("nothing to fix, but the scanner was too busy to be tested: try again", "yellow")
        if is_untested
        else Text("ready: nothing to fix", "bold green")
    )
    show(last, soft_wrap=True)
    return ExitStatus.ATTENTION if to_fix else ExitStatus.OK


def check(file: str, project: str, server: ServerFolders) -> Findings:
    """Test the set-up of PROJECT in the configuration FILE, one finding after the other."""
    try:
        settings = config.load(file, project)
    except ConfigurationError as error:
        yield fix(str(error))
        yield from check_configuration.only_in_pcgc(file, project)
        return
    folders = DataFolders(settings.data_dir)
    checks: list[Callable[[], Findings]] = [
        lambda: check_configuration.values(settings),
        lambda: check_configuration.hooks(settings),
        lambda: check_configuration.other_projects(settings),
        lambda: check_scanner.tools(settings),
        lambda: check_server.switch(settings, folders),
        lambda: check_server.script(os.path.dirname(server.pids)),
        lambda: check_server.folders(settings, folders, server),
        lambda: check_server.owners(settings, folders, server),
        lambda: check_server.disk(settings, folders),
        lambda: check_server.clock(server),
        lambda: check_server.passes(settings, server),
        *_receiving(settings, folders),
        lambda: check_scanner.scanner(settings),
        check_scanner.sending,
        lambda: check_server.faults(server),
    ]
    yield from _all(checks)


def _receiving(settings: Settings, folders: DataFolders) -> list[Callable[[], Findings]]:
    """The checks of what receives images: we, or another program."""
    if not settings.receive:
        return [lambda: check_scanner.other_receiver(settings)]
    return [
        lambda: check_receiving.port(settings, folders),
        check_receiving.rules,
        check_receiving.own_name,
        lambda: check_receiving.trial(settings),
    ]


def _all(checks: list[Callable[[], Findings]]) -> Iterator[Finding]:
    """The findings of CHECKS. What is wrong is named once, not by each check that meets it, nor again as reported."""
    named = set()
    for one in checks:
        try:
            for finding in one():
                if finding.text.removeprefix(check_server.REPORTED) not in named:
                    named.add(finding.text)
                    yield finding
        except (ScannerMoverError, OSError) as error:
            text = _text(error)
            if text not in named:
                named.add(text)
                yield fix(text)


def _text(error: ScannerMoverError | OSError) -> str:
    """What is to be fixed because of ERROR, which ended a check."""
    if isinstance(error, OSError):
        return f"{error.filename or 'the set-up'} cannot be tested: {reason(error)}"
    return str(error)
