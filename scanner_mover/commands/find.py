"""`scanner-mover find`: asks the scanner which studies, or which series of a study, there are."""

import contextlib
import csv
import datetime
import json
import os
import sys
from collections.abc import Sequence

from scanner_mover import config
from scanner_mover.arguments import FindOptions
from scanner_mover.config import Settings
from scanner_mover.dates import date_range
from scanner_mover.dicom import is_uid
from scanner_mover.display.output import printing, say
from scanner_mover.errors import ExitStatus, UnusableError, UsageError, reason
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.search import Answer, Row, Wanted, find
from scanner_mover.site.folders import DataFolders
from scanner_mover.text import printable


def run(options: FindOptions) -> int:
    """Ask, and print the answer; gives the exit status of the contract."""
    wanted = _wanted(options)
    settings = config.load(config.file_to_use(options.config), config.project_name(options.project))
    try:
        answer = find(settings, wanted, options.limit)
    except ValueError as error:
        raise UsageError(str(error)) from error
    with printing():
        _print(options, wanted, answer)
    if answer.more:
        say(f"there are more than these {options.limit}")
    if options.request:
        _request(settings, answer.rows)
    if answer.failure is not None:
        cut = f"the answer was cut short after {len(answer.rows)}: " if answer.rows else ""
        say(cut + advice(answer.failure, settings))
        return ExitStatus.SCANNER
    return ExitStatus.OK


def _wanted(options: FindOptions) -> Wanted:
    if options.level not in ("study", "series"):
        raise UsageError(f"--level is study or series, not {options.level!r}")
    if options.level == "series" and not options.study:
        raise UsageError("--level series needs --study UID: series are asked for study by study")
    if options.level == "series" and options.request:
        raise UsageError("--request is for studies: leave out --level series")
    if options.level == "series" and (options.patient_id or options.patient_name):
        raise UsageError("--patient-id and --patient-name are for studies: leave out --level series")
    if options.study and not is_uid(options.study):
        raise UsageError(f"--study: {options.study!r} is not a UID")
    if options.json and options.csv:
        raise UsageError("--json and --csv exclude each other")
    try:
        date = date_range(options.date, datetime.date.today()) if options.date else ""
    except ValueError as error:
        raise UsageError(f"--date: {error}") from error
    return Wanted(
        level=options.level,
        study_instance_uid=options.study,
        patient_id=options.patient_id,
        patient_name=options.patient_name,
        study_date=date,
        modality=options.modality,
        description=options.description,
    )


def _print(options: FindOptions, wanted: Wanted, answer: Answer) -> None:
    if options.json:
        text = json.dumps(answer.rows, ensure_ascii=False)
        # Readable, but nothing in it that a terminal obeys.
        print("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))
    elif options.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(wanted.keywords)
        writer.writerows(_cells(wanted, row) for row in answer.rows)
    elif sys.stdout.isatty():
        from scanner_mover.display.tables import show_rows

        if answer.rows or answer.failure is None:
            show_rows(wanted.keywords, [_cells(wanted, row) for row in answer.rows])
    else:
        for cells in (wanted.keywords, *(_cells(wanted, row) for row in answer.rows)):
            print("\t".join(cells))


def _cells(wanted: Wanted, row: Row) -> list[str]:
    values = (row[keyword] for keyword in wanted.keywords)
    return ["" if value is None else printable(str(value)) for value in values]


def _request(settings: Settings, rows: Sequence[Row]) -> None:
    """Write a request for each study, never over one that is there.

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
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, uid), "x", encoding="ascii"):
                new += 1
        except FileExistsError:
            there += 1
        except OSError as error:
            problem = f"{os.path.join(folder, uid)} cannot be written: {reason(error)}"
    with contextlib.suppress(OSError):
        say(f"requested {new} studies; {there} were requested already")
    if problem is not None:
        raise UnusableError(problem)
