"""What `find` asks the scanner, and the rows that come out: one for each study or series, by DICOM's keywords."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.dump2dcm import Query
from scanner_mover.dcmtk.tool import Toolbox, find_tools
from scanner_mover.dicom import SPECIFIC_CHARACTER_SET, uid_order
from scanner_mover.failures import Failure, Level
from scanner_mover.scanner.ask import ask
from scanner_mover.scanner.charset import decode
from scanner_mover.scanner.matching import matches_date, matches_text
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.site.disk import make_folder

STUDY_KEYWORDS = (
    "StudyDate",
    "StudyTime",
    "PatientID",
    "PatientName",
    "StudyDescription",
    "ModalitiesInStudy",
    "AccessionNumber",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "StudyInstanceUID",
)
SERIES_KEYWORDS = (
    "SeriesNumber",
    "SeriesDate",
    "SeriesTime",
    "Modality",
    "SeriesDescription",
    "ProtocolName",
    "NumberOfSeriesRelatedInstances",
    "ImagesInAcquisition",
    "SeriesInstanceUID",
    "StudyInstanceUID",
)

Value = str | int | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Wanted:
    """What is asked for: studies, or the series of one, and values to match, with DICOM's wildcards; empty: any."""

    level: Level = Level.STUDY
    study_instance_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    modality: str = ""
    description: str = ""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The columns of the answer."""
        return STUDY_KEYWORDS if self.level is Level.STUDY else SERIES_KEYWORDS

    @property
    def uid_keyword(self) -> str:
        """The column that says which study, or series, a row is about."""
        return "StudyInstanceUID" if self.level is Level.STUDY else "SeriesInstanceUID"

    def query(self) -> Query:
        """The query for dump2dcm; values beyond ASCII are sent as UTF-8 and say so."""
        values = {name: value for name, value in vars(self).items() if name != "level"}
        ascii_only = all(value.isascii() for value in values.values())
        template = "find_studies.dump" if self.level is Level.STUDY else "find_series.dump"
        declared = "" if ascii_only else "(0008,0005) CS [ISO_IR 192]"
        return Query(template, (("specific_character_set", declared), *values.items()))

    def ignored_by(self, row: Row) -> list[str]:
        """The values that ROW does not match, by the names of the fields: the scanner ignored those keys.

        The modality of a study is never among them: if it is not reported, the series of the study are asked.
        """
        prefix = "Study" if self.level is Level.STUDY else "Series"
        study = _text(row["StudyInstanceUID"])
        matches = {
            "study_instance_uid": study is None or study == self.study_instance_uid,
            "patient_id": matches_text(_text(row.get("PatientID")), self.patient_id),
            "patient_name": matches_text(_text(row.get("PatientName")), self.patient_name),
            "study_date": matches_date(_text(row[f"{prefix}Date"]), self.study_date),
            "description": matches_text(_text(row[f"{prefix}Description"]), self.description),
            "modality": self.level is Level.STUDY or matches_text(_text(row["Modality"]), self.modality),
        }
        return [name for name, matched in matches.items() if getattr(self, name) and not matched]


@dataclass(frozen=True)
class Answer:
    """The rows that arrived; `more` when there were more than asked for, `failure` when the answer was cut short.

    `not_matching` counts the studies or series that the scanner returned although they do not match, `ignored` names
    the fields of `Wanted` that it ignored.
    """

    rows: list[Row]
    more: bool
    failure: Failure | None
    not_matching: int
    ignored: tuple[str, ...]


def search(settings: Settings, wanted: Wanted, limit: int | None, scratch_folder: str) -> Answer:
    """Ask the scanner for WANTED and give at most LIMIT rows; the answers pass through SCRATCH_FOLDER.

    Raises UnusableError when a tool cannot be used, ConfigurationError when `tls` cannot, ValueError when a value
    cannot stand in a query.
    """
    wanted.query().text()  # a value that cannot be sent is refused before anything is looked for
    tools = find_tools()
    tls.check(tools, settings, ["findscu"])

    numbers = itertools.count(1)  # each call has a folder of its own

    def ask_all(queries: Sequence[Query], keywords: Sequence[str]) -> list[_Asked]:
        folder = os.path.join(scratch_folder, str(next(numbers)))
        make_folder(folder)
        return _ask(tools, settings, folder, queries, keywords)

    answered, failure = ask_all([wanted.query()], wanted.keywords)[0]
    rows, ignored = [], []
    for row in _merged(answered, wanted.uid_keyword):
        ignored.append(wanted.ignored_by(row))
        if not ignored[-1]:
            rows.append(row)
    if wanted.level is Level.SERIES:
        rows.sort(key=_in_order)
    elif wanted.modality and rows:
        failure = _complete_modalities(rows, ask_all) or failure
        kept = [row for row in rows if matches_text(_text(row["ModalitiesInStudy"]), wanted.modality)]
        ignored += [["modality"]] * (len(rows) - len(kept))
        rows = kept
    return Answer(
        rows[:limit],
        limit is not None and len(rows) > limit,
        failure,
        sum(map(bool, ignored)),
        tuple(dict.fromkeys(name for names in ignored for name in names)),
    )


def answers_in(scratch_folder: str) -> int:
    """How many answers lie in SCRATCH_FOLDER now."""
    return sum(name.startswith("rsp") for _, _, names in os.walk(scratch_folder) for name in names)


_Asked = tuple[list[Row], Failure | None]


def _ask(
    tools: Toolbox, settings: Settings, folder: str, queries: Sequence[Query], keywords: Sequence[str]
) -> list[_Asked]:
    """The rows of each of QUERIES, asked in one association, and its failure."""
    tags = {keyword: _tag(keyword) for keyword in keywords}
    wanted_tags = [SPECIFIC_CHARACTER_SET, *tags.values()]
    found = ask(tools, settings, QueryFiles(tools, folder), queries, wanted_tags, retries=settings.retries)
    return [([_row(answer, tags) for answer in one.answers], one.failure) for one in found]


def _merged(rows: Iterable[Row], uid_keyword: str) -> list[Row]:
    """ROWS with one for each UID: some scanners send an answer for each image of a study."""
    merged: dict[Value, Row] = {}
    without_uid = []
    for row in rows:
        uid = row[uid_keyword]
        if uid is None:
            without_uid.append(row)
        elif uid in merged:
            merged[uid] = {keyword: _one_of(keyword, value, row[keyword]) for keyword, value in merged[uid].items()}
        else:
            merged[uid] = row
    return [*merged.values(), *without_uid]


def _one_of(keyword: str, one: Value, other: Value) -> Value:
    """What two answers about the same thing say together: all modalities, the larger number, the first text."""
    if one is None or other is None:
        return other if one is None else one
    if keyword == "ModalitiesInStudy":
        return "\\".join(dict.fromkeys([*str(one).split("\\"), *str(other).split("\\")]))
    if keyword.startswith("NumberOf") and isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    return one


def _in_order(series: Row) -> tuple[bool, int, tuple[int, ...]]:
    """The order of series: by number, then those without one, and by UID."""
    number = series["SeriesNumber"]
    known = isinstance(number, int)
    return not known, number if isinstance(number, int) else 0, uid_order(str(series["SeriesInstanceUID"]))


def _complete_modalities(rows: list[Row], ask_all: Callable[..., list[_Asked]]) -> Failure | None:
    """Put the modalities of its series into each of ROWS in which the scanner gave none."""
    silent = [row for row in rows if row["ModalitiesInStudy"] is None and isinstance(row["StudyInstanceUID"], str)]
    queries = [Wanted(Level.SERIES, str(row["StudyInstanceUID"])).query() for row in silent]
    if not silent:
        return None
    failures = []
    for row, (series, failure) in zip(silent, ask_all(queries, ("Modality",)), strict=True):
        modalities = sorted({str(one["Modality"]) for one in series if one["Modality"] is not None})
        row["ModalitiesInStudy"] = "\\".join(modalities) or None
        failures.append(failure)
    return next((failure for failure in failures if failure is not None), None)


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _tag(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def _row(answer: Dump, tags: dict[str, str]) -> Row:
    declared = answer.all(SPECIFIC_CHARACTER_SET)
    row: Row = {}
    for keyword, tag in tags.items():
        vr = dictionary_VR(keyword)
        element = next((one for one in answer.elements if one.tag == tag and not one.path), None)
        if element is None or element.text is None:
            row[keyword] = None
            continue
        text = decode(element.text.strip(" \0"), vr, declared)
        is_number = vr == "IS" and text.isascii() and text.isdigit() and len(text) < 13
        row[keyword] = int(text) if is_number else text or None
    return row
