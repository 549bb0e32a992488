"""`scanner-mover find`: asks the scanner which studies, or which series of a study, there are."""

import csv
import datetime
import io
import sys
from collections.abc import Sequence

from scanner_mover import config
from scanner_mover.arguments_by_hand import FindOptions
from scanner_mover.arguments_by_hand import Level as Named
from scanner_mover.config import Settings
from scanner_mover.dates import date_range
from scanner_mover.dicom import is_uid
from scanner_mover.display.output import json_line, put, say
from scanner_mover.display.terminal import progress
from scanner_mover.errors import ExitStatus, UnusableError, UsageError
from scanner_mover.failures import Level
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.scratch import scratch_folder
from scanner_mover.scanner.search import Answer, Row, Wanted, answers_in, search
from scanner_mover.site import requests
from scanner_mover.site.folders import DataFolders
from scanner_mover.text import counted, printable

# The option of each filter, by its field of Wanted and of FindOptions.
_FILTERS = {
    "study_instance_uid": ("--study", "study"),
    "patient_id": ("--patient-id", "patient_id"),
    "patient_name": ("--patient-name", "patient_name"),
    "study_date": ("--date", "date"),
    "modality": ("--modality", "modality"),
    "description": ("--description", "description"),
}


def run(options: FindOptions) -> int:
    """Ask, and print the answer; gives the exit status of the contract."""
    _check(options)
    wanted = _wanted(options)
    settings = config.load(config.file_to_use(options.config), config.project_name(options.project))
    answer = _search(settings, wanted, options.limit)
    _print(options, wanted, answer)
    if answer.more:
        say(f"there are more than these {options.limit}")
    if answer.not_matching:
        say(_not_matching(options, answer))
    if options.request:
        _request(settings, answer.rows)
    if answer.failure is not None:
        cut = f"the answer was cut short after {len(answer.rows)}: " if answer.rows else ""
        say(cut + advice(answer.failure, settings))
        return ExitStatus.SCANNER
    return ExitStatus.OK


def _check(options: FindOptions) -> None:
    """Raises UsageError for options that do not go together."""
    series = options.level is Named.SERIES
    if series and not options.study:
        raise UsageError("--level series needs --study UID: series are asked for study by study")
    if series and options.request:
        raise UsageError("--request is for studies: leave out --level series")
    if series and (options.patient_id or options.patient_name):
        raise UsageError("--patient-id and --patient-name are for studies: leave out --level series")
    if options.study and not is_uid(options.study):
        raise UsageError(f"--study: {options.study!r} is not a UID")
    if options.json and options.csv:
        raise UsageError("--json and --csv exclude each other")
    if options.all and not options.request:
        raise UsageError("--all belongs to --request")
    if options.request and not options.all and not any(getattr(options, field) for _, field in _FILTERS.values()):
        raise UsageError("--request needs a filter, such as --date 7d; or --all for every study of the scanner")


def _wanted(options: FindOptions) -> Wanted:
    """What OPTIONS ask for. Raises UsageError when --date is not a date."""
    try:
        date = date_range(options.date, datetime.date.today()) if options.date else ""
    except ValueError as error:
        raise UsageError(f"--date: {error}") from error
    return Wanted(
        level=Level[options.level.name],
        study_instance_uid=options.study,
        patient_id=options.patient_id,
        patient_name=options.patient_name,
        study_date=date,
        modality=options.modality,
        description=options.description,
    )


def _search(settings: Settings, wanted: Wanted, limit: int | None) -> Answer:
    with scratch_folder() as folder:
        try:
            with progress("answers", None, lambda: answers_in(folder)):
                return search(settings, wanted, limit, folder)
        except ValueError as error:
            raise UsageError(str(error)) from error


def _print(options: FindOptions, wanted: Wanted, answer: Answer) -> None:
    rows = [_cells(wanted, row) for row in answer.rows]
    if options.json:
        put(json_line(answer.rows))
    elif options.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([wanted.keywords, *rows])
        put(text.getvalue())
    elif sys.stdout.isatty():
        from scanner_mover.display.tables import show_rows

        if rows or answer.failure is None:
            show_rows(wanted.keywords, rows)
    else:
        put("".join("\t".join(cells) + "\n" for cells in (wanted.keywords, *rows)))


def _cells(wanted: Wanted, row: Row) -> list[str]:
    values = (row[keyword] for keyword in wanted.keywords)
    return ["" if value is None else printable(str(value)) for value in values]


def _not_matching(options: FindOptions, answer: Answer) -> str:
    """The line about what the scanner returned although it was not asked for."""
    filters = (_FILTERS[name] for name in answer.ignored)
    given = ", ".join(f"{option} {getattr(options, field)}" for option, field in filters)
    number = answer.not_matching
    what = counted(number, "study", "studies") if options.level is Named.STUDY else f"{number} series"
    does, they = ("does", "it is") if number == 1 else ("do", "they are")
    return f"the scanner also returned {what} that {does} not match {given}: {they} neither shown nor requested"


def _request(settings: Settings, rows: Sequence[Row]) -> None:
    """Write a request for each study, never over one that is there; MPPS files of old studies are not expected (R32).

    Raises UnusableError when one cannot be written, after all others were.
    """
    folder = DataFolders(settings.data_dir).active_scans
    new = there = 0
    problem = None
    for row in rows:
        uid = row["StudyInstanceUID"]
        if not isinstance(uid, str) or not is_uid(uid):
            problem = problem or f"the scanner names a study without a valid StudyInstanceUID: {uid!r}"
            continue
        try:
            if requests.write(folder, uid, mpps_expected=False):
                new += 1
            else:
                there += 1
        except UnusableError as error:
            problem = str(error)
    say(f"requested {counted(new, 'study', 'studies')}; {there} {'was' if there == 1 else 'were'} requested already")
    if problem is not None:
        raise UnusableError(problem)
