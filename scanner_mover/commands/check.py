"""`scanner-mover status --check`: each line says ok, or what to do."""

import sys

from scanner_mover.commands.checks import check
from scanner_mover.errors import ExitStatus
from scanner_mover.site.folders import ServerFolders
from scanner_mover.text import printable


def run(file: str, project: str, server: ServerFolders) -> int:
    """Test the set-up and print each finding as it comes; gives 1 when anything needs attention."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    attention = False
    for finding in check(file, project, server):
        attention = attention or not finding.ok
        word = Text("ok   ", style="green") if finding.ok else Text("fix: ", style="bold red")
        console.print(Text.assemble(word, printable(finding.text)))
        sys.stdout.flush()
    return ExitStatus.ATTENTION if attention else ExitStatus.OK
