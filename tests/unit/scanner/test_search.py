"""What becomes of the answers that `find` gets: one row for each study or series, in order, and only what matches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.config import Settings
from scanner_mover.dcmtk.dcmdump import Dump, Element
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Level
from scanner_mover.scanner.search import (
    SERIES_KEYWORDS,
    STUDY_KEYWORDS,
    Row,
    Wanted,
    _in_order,
    _merged,
    _row,
    _tag,
    answers_in,
    search,
)


def study(**values: str | int | None) -> Row:
    return {**dict.fromkeys(STUDY_KEYWORDS), "StudyInstanceUID": "1.2.3", **values}


def series(**values: str | int | None) -> Row:
    return {**dict.fromkeys(SERIES_KEYWORDS), "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", **values}


def test_answers_about_one_study_are_one_row_with_all_that_they_say():
    rows = [
        study(PatientID="P", ModalitiesInStudy="MR", NumberOfStudyRelatedInstances=3),
        study(StudyInstanceUID="1.2.4"),
        study(StudyDate="20260131", PatientID="Q", ModalitiesInStudy="MR\\SR", NumberOfStudyRelatedInstances=7),
    ]
    merged, other = _merged(rows, "StudyInstanceUID")
    assert merged == study(
        StudyDate="20260131", PatientID="P", ModalitiesInStudy="MR\\SR", NumberOfStudyRelatedInstances=7
    )
    assert other == study(StudyInstanceUID="1.2.4")


def test_answers_without_a_uid_stay_rows_of_their_own():
    rows = [study(StudyInstanceUID=None), study(), study(StudyInstanceUID=None)]
    assert _merged(rows, "StudyInstanceUID") == [study(), study(StudyInstanceUID=None), study(StudyInstanceUID=None)]


@given(st.lists(st.sampled_from(["1.2", "1.3", "1.4"])))
def test_each_uid_is_there_once_in_the_order_of_the_scanner(uids):
    rows = [study(StudyInstanceUID=uid) for uid in uids]
    assert [row["StudyInstanceUID"] for row in _merged(rows, "StudyInstanceUID")] == list(dict.fromkeys(uids))


def test_series_are_ordered_by_number_then_by_uid_and_those_without_a_number_come_last():
    rows = [
        series(SeriesNumber=None, SeriesInstanceUID="1.1"),
        series(SeriesNumber=10, SeriesInstanceUID="1.2"),
        series(SeriesNumber=2, SeriesInstanceUID="1.10"),
        series(SeriesNumber=2, SeriesInstanceUID="1.9"),
        series(SeriesNumber="two", SeriesInstanceUID="1.3"),
        series(SeriesNumber=-1, SeriesInstanceUID="1.4"),
    ]
    ordered = [row["SeriesInstanceUID"] for row in sorted(rows, key=_in_order)]
    assert ordered == ["1.4", "1.9", "1.10", "1.2", "1.1", "1.3"]


@pytest.mark.parametrize(
    ("wanted", "row", "ignored"),
    [
        (Wanted(), study(), []),
        (Wanted(description="*knee*"), study(StudyDescription="KNEE left"), []),
        (Wanted(description="*knee*"), study(), ["description"]),
        (Wanted(description="*knee*", patient_id="A"), study(PatientID="B"), ["patient_id", "description"]),
        (Wanted(study_instance_uid="1.2.3"), study(), []),
        (Wanted(study_instance_uid="1.2.3"), study(StudyInstanceUID="1.2.33"), ["study_instance_uid"]),
        (Wanted(study_date="20260101-"), study(StudyDate="20251231"), ["study_date"]),
        (Wanted(modality="MR"), study(ModalitiesInStudy="CT"), []),  # the study's series are asked
        (Wanted(Level.SERIES, "1.2", modality="MR"), series(Modality="CT"), ["modality"]),
        (Wanted(Level.SERIES, "1.2", description="t1*"), series(SeriesDescription="T1 sag"), []),
        (Wanted(Level.SERIES, "1.2"), series(StudyInstanceUID=None), []),
    ],
)
def test_which_keys_a_scanner_ignored(wanted, row, ignored):
    assert wanted.ignored_by(row) == ignored


def test_a_folder_for_answers_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    settings = Settings("ABCD", "config.json", "data", "127.0.0.1", 1, "SCANNER", "MOVER", None)
    with pytest.raises(UnusableError, match=r"^the folder .*/file/1 cannot be made: Not a directory$"):
        search(settings, Wanted(study_instance_uid="1.2.3"), None, str(tmp_path / "file"))


def answer(**values: str) -> Dump:
    dump = Dump("rsp0001.dcm")
    for keyword, text in values.items():
        dump.elements.append(Element((), _tag(keyword), "LO", text))
    return dump


def test_a_row_has_texts_numbers_and_none():
    tags = {keyword: _tag(keyword) for keyword in STUDY_KEYWORDS}
    row = _row(answer(PatientID="P-1 ", NumberOfStudyRelatedSeries=" 12", StudyDescription="  "), tags)
    assert row == study(StudyInstanceUID=None, PatientID="P-1", NumberOfStudyRelatedSeries=12, StudyDescription=None)


@pytest.mark.parametrize("text", ["12a", "-", "1" * 20, "٣"])
def test_what_is_no_number_stays_a_text(text):
    raw = text if text.isascii() else text.encode().decode("latin-1")
    (value,) = _row(answer(SeriesNumber=raw), {"SeriesNumber": _tag("SeriesNumber")}).values()
    assert value == text


def test_answers_are_counted_wherever_they_lie(tmp_path):
    folder = tmp_path / "answers.x" / "0"
    folder.mkdir(parents=True)
    for name in ("rsp0001.dcm", "rsp0002.dcm", "query1"):
        (folder / name).touch()
    assert answers_in(str(tmp_path)) == 2
    assert answers_in(str(tmp_path / "gone")) == 0
