"""What a person at a terminal sees of a pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scanner_mover.display import plain
from scanner_mover.text import printable
from scanner_mover.transfer.overview import Overview
from scanner_mover.transfer.report import PassReport, StudyReport

if TYPE_CHECKING:  # it imports what talks to scanners, and `status` need not wait for that
    from scanner_mover.transfer.audit import AuditedStudy

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
        table.add_row(
            _plain(study.study_instance_uid),
            str(len(study.series)),
            plain.images(study) if study.series else "0 of ?",
            study.procedure,
            Text(study.outcome, style=_STYLES[study.outcome]),
            _plain(study.error or ""),
        )
    console.print(table)


def show_rows(keywords: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The rows of `find`; columns in which no row has anything are left out, and UIDs are never cut."""
    console = Console(highlight=False)
    if not rows:
        console.print("nothing found")
        return
    shown = [number for number in range(len(keywords)) if any(row[number] for row in rows)]
    if console.width < _NARROW:
        for row in rows:
            uids = [number for number in shown if keywords[number].endswith("UID")]
            cells = [_in_words(keywords[number], row[number]) for number in shown if number not in uids and row[number]]
            console.print(Text("  ").join(cells))
            for number in uids:
                console.print(Text(printable(row[number]), style="cyan"), overflow="fold")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for number in shown:
            keyword = keywords[number]
            count = _is_count(keyword)
            table.add_column(
                _HEADINGS.get(keyword, keyword),
                overflow="fold",
                justify="right" if count else "left",
                style="cyan" if keyword.endswith("UID") else None,
                no_wrap=count or keyword.endswith(("Date", "Time")),
            )
        for row in rows:
            table.add_row(*(_shown(keywords[number], row[number]) for number in shown))
        console.print(table)
    console.print(f"{len(rows)} found", style="dim")


# Below so many columns a table would tear its words apart: a row is a line then, and its UIDs lines below.
_NARROW = 120


def _in_words(keyword: str, value: str) -> Text:
    """A cell without a column: a number says what it counts."""
    shown = _shown(keyword, value)
    return Text(f"{shown.plain} {_HEADINGS[keyword]}") if _is_count(keyword) else shown


def _is_count(keyword: str) -> bool:
    return keyword.startswith("NumberOf") or keyword == "ImagesInAcquisition"


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


def _shown(keyword: str, value: str) -> Text:
    """A date or a time as people read it; anything else as it is."""
    if keyword.endswith("Date") and len(value) == 8 and value.isdigit():
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    elif keyword.endswith("Time") and value[:6].isdigit() and len(value) >= 4:
        value = f"{value[:2]}:{value[2:4]}"
    return Text(value)


def show_overview(overview: Overview) -> None:
    """One screen for the person on call."""
    console = Console(highlight=False)
    for line, style in zip_longest(plain.head(overview), _head_styles(overview), fillvalue=""):
        console.print(Text(line, style=style), soft_wrap=True)
    if not overview.requests:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    wide = console.width >= _NARROW
    for name in plain.COLUMNS:
        if wide or name != "series":
            # A UID and a sentence are folded; the other columns are narrow.
            folds = name in ("study", "last")
            table.add_column(name, overflow="fold", no_wrap=not folds, style="cyan" if name == "study" else None)
    for request in overview.requests:
        study, age, procedure, series, images, outcome, last = plain.cells(request)
        bar = _bar(request.report, images, 12 if wide else 4)
        state = Text(outcome, style=_STYLES.get(outcome, ""))
        texts = [study, age, procedure, *([series] if wide else [])]
        table.add_row(*map(Text, texts), bar, state, Text(last))  # Text: what is in brackets is no markup
    console.print(table)


def _head_styles(overview: Overview) -> list[str]:
    """The colours of the first lines: what needs a look is red."""
    switch = {True: "bold green", False: "bold yellow", None: "bold red"}[overview.enabled]
    return [
        switch,
        "" if overview.state.exit_status == 0 and overview.last_pass_age_seconds is not None else "red",
        *(["bold red"] if overview.state.fault else []),
    ]


def _plain(text: str, style: str = "") -> Text:
    """TEXT from a file or a scanner as it is: no markup, and nothing that a terminal obeys."""
    return Text(printable(text), style=style)


def _bar(report: StudyReport, images: str, width: int) -> Text:
    """Images received of those expected, as a bar and as numbers."""
    if not report.series:
        return Text(images)
    received = sum(one.received for one in report.series)
    expected = sum(one.expected or 0 for one in report.series)
    filled = width if not expected else min(width, width * received // expected)
    return Text.assemble(("━" * filled, "green"), ("━" * (width - filled), "bright_black"), f" {images}")


def show_audit(studies: Sequence[AuditedStudy]) -> None:
    """The closed studies of which images are missing."""
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("study", overflow="fold", style="cyan")
    table.add_column("series", overflow="fold")
    for name in ("images", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for study in studies:
        for series in study.series:
            if series.missing:
                images = f"{series.received} of {'?' if series.expected is None else series.expected}"
                uids = study.closed.study_instance_uid, series.series_instance_uid
                table.add_row(*uids, images, Text(str(series.missing), style="bold red"))
    if table.row_count:
        console.print(table)
