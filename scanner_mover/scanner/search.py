"""What `find` asks the scanner, and the rows that come out: one for each answer, by the standard's keywords."""

import fnmatch
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.dump2dcm import Query
from scanner_mover.dcmtk.tool import Toolbox, find_tools
from scanner_mover.dicom import SPECIFIC_CHARACTER_SET
from scanner_mover.failures import Failure
from scanner_mover.scanner.ask import ask
from scanner_mover.scanner.charset import decode
from scanner_mover.scanner.query_files import QueryFiles

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

Row = dict[str, str | int | None]


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a level, `study` or `series`, and values to match, with DICOM's wildcards; empty: any."""

    level: str = "study"
    study_instance_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    modality: str = ""
    description: str = ""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The columns of the answer."""
        return STUDY_KEYWORDS if self.level == "study" else SERIES_KEYWORDS

    def query(self) -> Query:
        """The query for dump2dcm; values beyond ASCII are sent as UTF-8 and say so."""
        values = {name: value for name, value in vars(self).items() if name != "level"}
        ascii_only = all(value.isascii() for value in values.values())
        template = "find_studies.dump" if self.level == "study" else "find_series.dump"
        declared = "" if ascii_only else "(0008,0005) CS [ISO_IR 192]"
        return Query(template, (("specific_character_set", declared), *values.items()))


@dataclass(frozen=True)
class Answer:
    """The rows that came; `more` when there were more than asked for, `failure` when the answer was cut short."""

    rows: list[Row]
    more: bool
    failure: Failure | None


def find(settings: Settings, wanted: Wanted, limit: int | None) -> Answer:
    """Ask the scanner for WANTED and give at most LIMIT rows.

    Raises UnusableError when a tool cannot be used, ConfigurationError when `tls` cannot, ValueError when a value
    cannot stand in a query.
    """
    wanted.query().text()  # a value that cannot be sent is told before anything is looked for
    tools = find_tools()
    tls.check(tools, settings, ["findscu"])
    with tempfile.TemporaryDirectory(prefix="scanner-mover.") as work:

        def ask_all(queries: Sequence[Query], keywords: Sequence[str], most: int | None) -> list[_Asked]:
            return _ask(tools, settings, tempfile.mkdtemp(dir=work), queries, keywords, most)

        # A scanner may not match by the modality of a study, nor tell it: then its series tell.
        by_modality = wanted.level == "study" and bool(wanted.modality)
        most = None if limit is None or by_modality else limit + 1
        rows, failure = ask_all([wanted.query()], wanted.keywords, most)[0]
        if by_modality and rows:
            failure = _tell_modalities(rows, ask_all) or failure
            rows = [row for row in rows if _is_of_modality(row, wanted.modality)]
    more = limit is not None and len(rows) > limit
    return Answer(rows[:limit], more, failure)


_Asked = tuple[list[Row], Failure | None]


def _ask(
    tools: Toolbox,
    settings: Settings,
    work: str,
    queries: Sequence[Query],
    keywords: Sequence[str],
    most: int | None,
) -> list[_Asked]:
    """The rows of each of QUERIES, asked in one association, and its failure."""
    tags = {keyword: _tag(keyword) for keyword in keywords}
    wanted_tags = [SPECIFIC_CHARACTER_SET, *tags.values()]
    files = QueryFiles(tools, work)
    found = ask(tools, settings, files, queries, wanted_tags, retries=settings.retries, most_read=most)
    return [([_row(answer, tags) for answer in one.answers], one.failure) for one in found]


def _tell_modalities(rows: list[Row], ask: Callable[..., list[_Asked]]) -> Failure | None:
    """Put the modalities of its series into each of ROWS in which the scanner told none."""
    silent = [row for row in rows if row["ModalitiesInStudy"] is None and isinstance(row["StudyInstanceUID"], str)]
    queries = [Wanted(level="series", study_instance_uid=str(row["StudyInstanceUID"])).query() for row in silent]
    if not silent:
        return None
    failures = []
    for row, (series, failure) in zip(silent, ask(queries, ("Modality",), None), strict=True):
        modalities = sorted({str(one["Modality"]) for one in series if one["Modality"] is not None})
        row["ModalitiesInStudy"] = "\\".join(modalities) or None
        failures.append(failure)
    return next((failure for failure in failures if failure is not None), None)


def _is_of_modality(row: Row, modality: str) -> bool:
    told = str(row["ModalitiesInStudy"] or "").split("\\")
    return any(fnmatch.fnmatchcase(one.strip(), modality) for one in told)


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
        row[keyword] = (
            int(text) if vr == "IS" and text.isascii() and text.isdigit() and len(text) < 13 else text or None
        )
    return row
