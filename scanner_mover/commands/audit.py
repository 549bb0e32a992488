"""`scanner-mover status --audit`: the studies that were closed although images are missing."""

import datetime
import json
import re
import sys

from scanner_mover.config import Settings
from scanner_mover.display.output import printing, say
from scanner_mover.errors import ExitStatus, UsageError
from scanner_mover.scanner.advice import advice
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.transfer.audit import AuditedStudy, audit, closed_studies, request_again


def run(
    settings: Settings,
    server: ServerFolders,
    *,
    since: str | None,
    request: bool,
    as_json: bool,
    file: str | None,
) -> int:
    """Audit, print, and with REQUEST put back those of which images are missing; gives the exit status."""
    folders = DataFolders(settings.data_dir)
    studies = audit(settings, closed_studies(folders, _since(since)))
    lost = [study for study in studies if study.missing]
    with printing():
        _print(studies, lost, as_json)
    say(_summary(studies, lost))
    if request:
        back, there = request_again(folders, [study.closed for study in lost])
        say(f"requested {back} studies again; {there} were requested already")
    failures = [study.failure for study in studies if study.failure is not None]
    for text in dict.fromkeys(advice(failure, settings) for failure in failures):
        say(text)
    return ExitStatus.SCANNER if failures else ExitStatus.OK


def _print(studies: list[AuditedStudy], lost: list[AuditedStudy], as_json: bool) -> None:
    if as_json:
        print(json.dumps([study.to_json() for study in studies]))
    elif sys.stdout.isatty():
        from scanner_mover.display.tables import show_audit

        show_audit(studies)
    else:
        print("study\tseries\texpected\treceived\tmissing")
        for study in lost:
            for series in study.series:
                if series.missing:
                    row = (study.closed.study_instance_uid, series.series_instance_uid)
                    print(*row, series.expected, series.received, series.missing, sep="\t")


def _summary(studies: list[AuditedStudy], lost: list[AuditedStudy]) -> str:
    gone = sum(not study.series and study.failure is None for study in studies)
    asked = len(studies) - sum(study.failure is not None for study in studies)
    return (
        f"{len(studies)} closed studies, {asked} compared with the scanner: {len(lost)} lack images "
        f"({sum(study.missing for study in lost)} in all), {gone} are no longer on the scanner"
    )


def _since(text: str | None) -> float:
    """The time that `--since` means, in seconds of the epoch; none: the beginning.

    Raises UsageError for what is neither days (`30d`) nor a date.
    """
    if text is None:
        return 0.0
    try:
        if days := re.fullmatch(r"([0-9]{1,5})d", text):
            return (datetime.datetime.now() - datetime.timedelta(days=int(days[1]))).timestamp()
        return datetime.datetime.strptime(text.replace("-", ""), "%Y%m%d").timestamp()
    except ValueError:
        raise UsageError(f"--since: {text!r} is neither days (30d) nor a date (2026-01-31)") from None
