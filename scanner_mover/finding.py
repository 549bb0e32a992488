"""What `find` asks the scanner, and the rows that come out: one for each answer, by the standard's keywords."""

import os
import tempfile
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from scanner_mover.charset import decode
from scanner_mover.config import Settings
from scanner_mover.dcmtk import findscu
from scanner_mover.dcmtk.dcmdump import Dump
from scanner_mover.dcmtk.dump2dcm import Query, make_query_file
from scanner_mover.dcmtk.failure import Failure
from scanner_mover.dcmtk.retry import with_retries
from scanner_mover.dcmtk.tool import find_tools, version

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
SPECIFIC_CHARACTER_SET = "0008,0005"

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

    Raises UnusableError when a tool cannot be used, ValueError when a value cannot stand in a query.
    """
    wanted.query().text()  # a value that cannot be sent is told before anything is looked for
    tools = find_tools()
    version(tools, "findscu")
    tags = {keyword: _tag(keyword) for keyword in wanted.keywords}
    with tempfile.TemporaryDirectory(prefix="scanner-mover.") as work:
        query = make_query_file(tools, wanted.query(), os.path.join(work, "query"))

        def attempt() -> findscu.Found:
            answers = tempfile.mkdtemp(prefix="answers.", dir=work)
            most = None if limit is None else limit + 1
            return findscu.find(
                tools, settings, [query], answers, [SPECIFIC_CHARACTER_SET, *tags.values()], most_read=most
            )[0]

        found = with_retries(attempt, lambda result: result.failure, settings.retries)
    rows = [_row(answer, tags) for answer in found.answers]
    more = limit is not None and len(rows) > limit
    return Answer(rows[:limit], more, found.failure)


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
