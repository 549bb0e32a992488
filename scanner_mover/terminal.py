"""What a person at a terminal sees of a pass."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scanner_mover.report import PassReport

_STYLES = {"finished": "green", "failed": "red", "waiting": "yellow", "error": "bold red"}


def show_message(message: str) -> None:
    """One message of the log, as it comes."""
    style = "cyan" if message.startswith(("pull ", "would ")) else "green" if message.startswith("JOB ") else "dim"
    Console(soft_wrap=True, highlight=False).print(Text(message, style=style))


def show_summary(report: PassReport) -> None:
    """The studies of a pass and what became of them."""
    console = Console(highlight=False)
    if not report.studies:
        console.print("switched off" if not report.enabled else "nothing to do: no study is requested")
        return
    table = Table(title="what became of each request" if not report.dry_run else "what a pass would do")
    for name in ("study", "series", "images", "procedure", "outcome", "error"):
        table.add_column(name, overflow="fold", justify="right" if name in ("series", "images") else "left")
    for study in report.studies:
        received = sum(series.received for series in study.series)
        expected = [series.expected for series in study.series]
        total = "?" if None in expected or not expected else sum(number or 0 for number in expected)
        table.add_row(
            study.study_instance_uid,
            str(len(study.series)),
            f"{received} of {total}",
            study.procedure,
            Text(study.outcome, style=_STYLES[study.outcome]),
            study.error or "",
        )
    console.print(table)
