"""The tables on a terminal: of a pass, of `find` and of an audit. That of `status` is in `status_screen`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scanner_mover.display import plain
from scanner_mover.display.terminal import console, plain_text, show
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.text import images_of
from scanner_mover.transfer.report import PassReport

if TYPE_CHECKING:  # it imports what talks to scanners, and a pass need not wait for that
    from scanner_mover.transfer.audit import AuditedStudy

_GAP = 3
_BELOW, _FAR_BELOW = (0, 0, 0, 2), (0, 0, 0, 4)
#: The colour of each outcome of a request.
STYLES = {
    Outcome.FINISHED: "green",
    Outcome.FAILED: "red",
    Outcome.WAITING: "yellow",
    Outcome.ERROR: "bold red",
}

_HEADINGS = {
    "StudyInstanceUID": "study UID",
    "SeriesInstanceUID": "series UID",
    "StudyDate": "date",
    "StudyTime": "time",
    "PatientID": "patient ID",
    "PatientName": "patient",
    "StudyDescription": "description",
    "ModalitiesInStudy": "modality",
    "AccessionNumber": "accession",
    "NumberOfStudyRelatedSeries": "series",
    "NumberOfStudyRelatedInstances": "images",
    "SeriesNumber": "no.",
    "SeriesDate": "date",
    "SeriesTime": "time",
    "Modality": "modality",
    "SeriesDescription": "description",
    "ProtocolName": "protocol",
    "NumberOfSeriesRelatedInstances": "images",
    "ImagesInAcquisition": "acquired",
}


def show_message(message: str) -> None:
    """Print one message of the log at once."""
    style = "cyan" if message.startswith(("pull ", "would ")) else "green" if message.startswith("JOB ") else "dim"
    show(plain_text(message, style), soft_wrap=True)


def show_summary(report: PassReport) -> None:
    """Print the studies of a pass and what became of them."""
    if not report.studies:
        show("switched off" if not report.enabled else "nothing to do: no study is requested")
        return
    title = "what became of each request" if not report.dry_run else "what a pass would do"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    errors = any(study.error for study in report.studies)
    for name in ("study", "series", "images", "procedure", "outcome", *(("error",) if errors else ())):
        table.add_column(name, overflow="fold", justify="right" if name in ("series", "images") else "left")
    for study in report.studies:
        table.add_row(
            plain_text(study.study_instance_uid, "cyan"),
            str(len(study.series)),
            plain.images(study),
            study.procedure.value,
            Text(study.outcome.value, style=STYLES[study.outcome]),
            *((plain_text(study.error or ""),) if errors else ()),
        )
    show(table)


def show_rows(keywords: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print the rows of `find`: a table where no UID and no word is torn in it, otherwise lines.

    Columns in which no row has anything are left out, and so is the study of a series, which was asked for.
    """
    if not rows:
        show("nothing found")
        return
    of_series = "SeriesInstanceUID" in keywords
    shown = [
        number
        for number, keyword in enumerate(keywords)
        if any(row[number] for row in rows) and not (of_series and keyword == "StudyInstanceUID")
    ]
    found = Text(f"{len(rows)} found", style="dim")
    least = sum(_GAP + _least_width(keywords[number], [row[number] for row in rows]) for number in shown)
    if least <= console().width:
        show(_wide(keywords, rows, shown), found)
    else:
        show(*(line for row in rows for line in _lines(keywords, row, shown)), found)


def _least_width(keyword: str, values: Sequence[str]) -> int:
    """The columns that the VALUES need, in which no word is torn."""
    words = (
        word for value in (_HEADINGS.get(keyword, keyword), *values) for word in _shown(keyword, value).plain.split()
    )
    return max(map(cell_len, words), default=0)


def _wide(keywords: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number in shown:
        keyword = keywords[number]
        count = _is_count(keyword)
        table.add_column(
            _HEADINGS.get(keyword, keyword),
            overflow="fold",
            justify="right" if count else "left",
            style="cyan" if keyword.endswith("UID") else None,
            no_wrap=count or keyword.endswith(("Date", "Time", "UID")),
        )
    for row in rows:
        table.add_row(*(_shown(keywords[number], row[number]) for number in shown))
    return table


def _lines(keywords: Sequence[str], row: Sequence[str], shown: Sequence[int]) -> list[RenderableType]:
    """One row without columns: a line of what people know, and a line for each UID."""
    uids = [number for number in shown if keywords[number].endswith("UID")]
    cells = [_in_words(keywords[number], row[number]) for number in shown if number not in uids and row[number]]
    return [
        Text("  ").join(cells),
        *(Text(row[number], style="cyan", overflow="fold") for number in uids),
    ]


def _in_words(keyword: str, value: str) -> Text:
    """A cell without a column: a number says what it counts."""
    shown = _shown(keyword, value)
    if not _is_count(keyword):
        return shown
    heading = _HEADINGS[keyword]
    return Text(f"{shown.plain} {'image' if (shown.plain, heading) == ('1', 'images') else heading}")


def _is_count(keyword: str) -> bool:
    return keyword.startswith("NumberOf") or keyword == "ImagesInAcquisition"


def _shown(keyword: str, value: str) -> Text:
    """A date or a time as people read it; anything else as it is."""
    if keyword.endswith("Date") and len(value) == 8 and value.isdigit():
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    elif keyword.endswith("Time") and value[:6].isdigit() and len(value) >= 4:
        value = f"{value[:2]}:{value[2:4]}"
    return plain_text(value)


def show_audit(studies: Sequence[AuditedStudy]) -> None:
    """Print the closed studies of which images are missing, each with its series below it, and those that are lost."""
    lines: list[RenderableType] = []
    for study in studies:
        if study.missing or study.lost:
            lines.append(Text(study.closed.study_instance_uid, style="cyan", overflow="fold"))
        for series in study.series:
            if series.missing:
                counts = Text(f"{images_of(series.received, series.expected)} here, ")
                lines.append(Padding(Text(series.series_instance_uid, overflow="fold"), _BELOW))
                lines.append(Padding(counts.append(f"{series.missing} missing", style="bold red"), _FAR_BELOW))
        if study.lost:
            lines.append(Padding(Text("neither on the scanner nor here", style="bold red"), _BELOW))
    if lines:
        show(*lines)
