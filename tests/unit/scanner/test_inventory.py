"""What the answers to a C-FIND say of series, images and studies (R11, R13, R14, R22, R35)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dcmtk.dcmdump import Dump, Element, Unread
from scanner_mover.dcmtk.findscu import Found
from scanner_mover.dicom import (
    IMAGES_IN_ACQUISITION,
    MODALITY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    STUDY_INSTANCE_UID,
)
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules.records import ReportedSeries
from scanner_mover.scanner import inventory
from scanner_mover.scanner.inventory import SeriesAnswer, StudyAnswer, image_answer, series_answer, study_answer

STUDY, SERIES = "1.2.3", "1.2.3.4"
FAILED = Failure(Kind.REFUSED, "Failed: UnableToProcess")


def answer(error: Unread | None = None, **values: str | None) -> Dump:
    """One answer; the names are those of `scanner_mover.dicom`, in small letters."""
    tags = {
        "study": STUDY_INSTANCE_UID,
        "series": SERIES_INSTANCE_UID,
        "image": SOP_INSTANCE_UID,
        "number": NUMBER_OF_SERIES_RELATED_INSTANCES,
        "planned": IMAGES_IN_ACQUISITION,
        "modality": MODALITY,
        "all_series": NUMBER_OF_STUDY_RELATED_SERIES,
        "all_images": NUMBER_OF_STUDY_RELATED_INSTANCES,
        "date": STUDY_DATE,
    }
    elements = [Element((), tags[name], "UI", value) for name, value in values.items()]
    return Dump("rsp0001.dcm", elements, error)


def found(*answers: Dump, failure: Failure | None = None) -> Found:
    return Found(list(answers), failure)


# SERIES


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ({}, ReportedSeries(SERIES)),
        ({"number": "6"}, ReportedSeries(SERIES, 6)),
        ({"number": "6", "planned": "10150"}, ReportedSeries(SERIES, 6, 10150)),
        ({"planned": "7", "modality": "MR"}, ReportedSeries(SERIES, None, 7, "MR")),
        ({"number": "0"}, ReportedSeries(SERIES)),
        ({"number": "-3"}, ReportedSeries(SERIES)),
        ({"number": "six"}, ReportedSeries(SERIES)),
        ({"number": ""}, ReportedSeries(SERIES)),
        ({"number": "6 "}, ReportedSeries(SERIES, 6)),
        ({"number": "6\\7"}, ReportedSeries(SERIES)),
        ({"study": None}, ReportedSeries(SERIES)),
    ],
)
def test_R13_a_series_and_its_numbers(values, reported):
    values = {"study": STUDY, "series": SERIES, **values}
    assert series_answer(STUDY, found(answer(**values))) == SeriesAnswer((reported,))


def test_answers_for_another_study_are_not_about_this_one():
    answers = found(answer(study="1.2.4", series="1.2.4.1"), answer(study=STUDY, series=SERIES))
    assert series_answer(STUDY, answers) == SeriesAnswer((ReportedSeries(SERIES),))


@pytest.mark.parametrize("uid", [None, "", "no uid", "1..2", "1.2.3." + "4" * 64])
def test_R14_a_series_without_a_valid_UID_makes_the_answer_unusable(uid):
    answers = found(answer(study=STUDY, series=uid), answer(study=STUDY, series=SERIES))
    said = series_answer(STUDY, answers)
    assert said.series == (ReportedSeries(SERIES),) and said.failure is not None and said.failure.kind is Kind.REFUSED


def test_of_a_series_that_is_told_twice_the_larger_number_counts():
    answers = [answer(study=STUDY, series=SERIES, number=number) for number in ("5", "6", "4")]
    assert series_answer(STUDY, found(*answers)) == SeriesAnswer((ReportedSeries(SERIES, 6),))


def test_R14_a_query_that_failed_is_said_with_what_came_before():
    said = series_answer(STUDY, found(answer(study=STUDY, series=SERIES), failure=FAILED))
    assert said == SeriesAnswer((ReportedSeries(SERIES),), FAILED)


def test_an_answer_that_cannot_be_read_is_left_out():
    """The query carries a failure of its own then."""
    broken = answer(Unread.BROKEN, study=STUDY, series=SERIES)
    assert series_answer(STUDY, found(broken, failure=FAILED)).series == ()
    assert study_answer(STUDY, found(broken, failure=FAILED)) == StudyAnswer(failure=FAILED)


# IMAGE


def test_R33_the_images_are_named_once_and_the_answers_counted():
    images = [answer(study=STUDY, series=SERIES, image=f"1.2.{number}") for number in (1, 2, 2, 3)]
    said = image_answer(STUDY, SERIES, found(*images))
    assert (said.sop_instance_uids, said.answers, said.failure) == (frozenset(["1.2.1", "1.2.2", "1.2.3"]), 4, None)


def test_answers_about_another_series_or_without_a_UID_are_not_counted():
    others = [
        answer(study=STUDY, series="1.2.9", image="1.2.1"),
        answer(study="1.2.9", series=SERIES, image="1.2.2"),
        answer(study=STUDY, series=SERIES, image=""),
        answer(study=STUDY, series=SERIES, image=None),
    ]
    said = image_answer(STUDY, SERIES, found(*others, answer(image="1.2.3"), failure=FAILED))
    assert (said.sop_instance_uids, said.answers, said.failure) == (frozenset(["1.2.3"]), 1, FAILED)


# STUDY


def test_R35_what_the_study_level_tells():
    whole = answer(study=STUDY, all_series="4", all_images="20", date="20260131")
    assert study_answer(STUDY, found(whole)) == StudyAnswer(4, 20, "20260131")
    smaller = answer(study=STUDY, all_series="2", all_images="30")
    assert study_answer(STUDY, found(smaller, whole)) == StudyAnswer(4, 30, "20260131")


def test_R35_only_an_answer_about_this_study_counts():
    assert study_answer(STUDY, found(answer(study="1.2.9", all_series="9"), answer(all_series="8"))) == StudyAnswer()
    assert study_answer(STUDY, found(failure=FAILED)) == StudyAnswer(failure=FAILED)


texts = st.none() | st.text(max_size=8) | st.sampled_from([STUDY, SERIES, "6", "1.2.9"])


@given(st.lists(st.fixed_dictionaries({"study": texts, "series": texts, "image": texts, "number": texts}), max_size=5))
def test_whatever_is_answered_only_valid_UIDs_and_numbers_come_out(values):
    answers = found(*(answer(**one) for one in values))
    for reported in series_answer(STUDY, answers).series:
        assert set(reported.series_instance_uid) <= set("0123456789.")
        assert reported.number is None or reported.number > 0
    images = image_answer(STUDY, SERIES, answers)
    assert len(images.sop_instance_uids) <= images.answers <= len(values)


# The scanner as a whole


@pytest.mark.parametrize(
    ("failures", "calls"),
    [
        ([Kind.STALLED, Kind.STALLED], 2),
        ([Kind.STALLED, None, Kind.STALLED], 4),
        ([Kind.ENDLESS, None, Kind.ENDLESS], 3),
        ([Kind.ENDLESS, Kind.STALLED], 2),
        ([Kind.UNREACHABLE], 1),
        ([Kind.REFUSED, Kind.REFUSED, Kind.REFUSED], 4),
    ],
)
def test_a_scanner_that_falls_silent_is_not_asked_again_and_again_in_one_pass(monkeypatch, tmp_path, failures, calls):
    made = []

    def ask(tools, settings, files, queries, tags, *, retries, log):
        kind = failures[len(made)] if len(made) < len(failures) else None
        made.append(queries)
        return [found(failure=None if kind is None else Failure(kind, "words"))] * len(queries)

    monkeypatch.setattr(inventory, "ask", ask)
    asks = inventory.Inventory(None, None, None, 0, print)  # type: ignore[arg-type]
    answers = [asks.series([STUDY])[STUDY] for _ in range(4)]
    assert len(made) == calls
    assert all(one.failure is not None for one in answers[calls:])
