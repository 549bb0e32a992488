"""`scanner-mover status --audit`: the studies that were closed although images are missing."""

import datetime
import re
import sys

from scanner_mover.arguments import StatusOptions
from scanner_mover.config import Settings
from scanner_mover.display.output import json_line, put, say
from scanner_mover.display.tables import show_audit
from scanner_mover.display.terminal import progress
from scanner_mover.errors import ExitStatus, UsageError
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.scratch import scratch_folder
from scanner_mover.site import ledger
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.text import counted
from scanner_mover.transfer.again import request_again
from scanner_mover.transfer.audit import AuditedStudy, audit, closed_studies

_COLUMNS = ("study", "series", "expected", "received", "missing")


def run(settings: Settings, server: ServerFolders, options: StatusOptions) -> int:
    """Audit, print, and with `--request` put back those of which images are missing; gives the exit status."""
    folders = DataFolders(settings.data_dir)
    closed = closed_studies(folders, ledger.read(server.ledger), since(options.since))
    studies: list[AuditedStudy] = []
    with scratch_folder() as folder, progress("closed studies", len(closed), lambda: len(studies)):
        studies.extend(audit(settings, closed, folder))
    _print(studies, options)
    say(_summary(studies))
    if options.request:
        back, there = request_again(folders, server, [study.closed for study in studies if study.missing])
        were = "was" if there == 1 else "were"
        say(f"requested {counted(back, 'study', 'studies')} again; {there} {were} requested already")
    failures = [study.failure for study in studies if study.failure is not None]
    for text in dict.fromkeys(advice(failure, settings) for failure in failures):
        say(text)
    return ExitStatus.SCANNER if failures else ExitStatus.OK


def _print(studies: list[AuditedStudy], options: StatusOptions) -> None:
    """All studies as JSON; in the other forms those that lack images, and those that are lost."""
    if options.json:
        put(json_line([study.to_json() for study in studies]), options.output)
    elif options.output is None and sys.stdout.isatty():
        show_audit(studies)
    else:
        rows = [_COLUMNS, *(row for study in studies for row in _rows(study))]
        put("".join("\t".join(row) + "\n" for row in rows), options.output)


def _rows(study: AuditedStudy) -> list[tuple[str, ...]]:
    """A row for each series of which images are missing; one without a series for a study that is lost."""
    uid = study.closed.study_instance_uid
    if study.lost:
        return [(uid, "", "", "0", "")]
    return [
        (uid, one.series_instance_uid, str(one.expected), str(one.received), str(one.missing))
        for one in study.series
        if one.missing
    ]


def _summary(studies: list[AuditedStudy]) -> str:
    compared = sum(study.failure is None for study in studies)
    missing = [study.missing for study in studies if study.missing]
    gone = sum(not study.on_scanner and study.failure is None and not study.lost for study in studies)
    lost = sum(study.lost for study in studies)
    text = (
        f"{counted(len(studies), 'closed study', 'closed studies')}, {compared} compared with the scanner: "
        f"{counted(len(missing), 'lacks', 'lack')} images ({sum(missing)} in all), "
        f"{counted(gone, 'is', 'are')} no longer on the scanner"
    )
    if lost:
        text += f", {counted(lost, 'is', 'are')} lost: neither the scanner nor site/raw has any image"
    return text


def since(text: str | None) -> float:
    """The time that `--since` means, in seconds of the epoch; none: the beginning.

    Raises UsageError for what is neither days (`30` or `30d`) nor a date.
    """
    if text is None:
        return 0.0
    try:
        if days := re.fullmatch(r"([0-9]{1,5})d?", text):
            return (datetime.datetime.now() - datetime.timedelta(days=int(days[1]))).timestamp()
        if date := re.fullmatch(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})", text):
            return datetime.datetime.fromisoformat("-".join(date.groups())).timestamp()
    except (ValueError, OverflowError):
        pass  # no day of the calendar
    raise UsageError(f"--since: {text!r} is neither days (30 or 30d) nor a date (2026-01-31)")
