"""How many images a series has, and whether all are here (R13, R22 b, R33, R34, R36, R37, R40), as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.failures import Failure, Kind
from scanner_mover.moment import Moment
from scanner_mover.rules.modalities import is_wanted
from scanner_mover.rules.records import Listing, ReportedSeries, SeriesMemory
from scanner_mover.rules.series import (
    Count,
    are_named_by_uid,
    count,
    empty_since,
    is_answer,
    is_empty,
    list_decides,
    listing,
    missing_by_name,
    number_of_images,
    stale,
    with_vanished,
)

BOOT = "one boot"
NOW = Moment(BOOT, 10_000)
UIDS = [f"1.2.{number}" for number in range(1, 7)]


def ago(seconds: float) -> Moment:
    return Moment(BOOT, NOW.seconds - seconds)


def listed(names, uids=UIDS, answers=None, failure=None, earlier=None) -> Listing | None:
    return listing(uids, len(uids) if answers is None else answers, failure, names, earlier)


# R13


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("300", 300),
        ("007", 7),
        ("+5", 5),
        ("2147483647", 2**31 - 1),
        ("0", None),
        ("-1", None),
        ("+0", None),
        ("", None),
        (None, None),
        ("1.0", None),
        ("1e3", None),
        ("0x10", None),
        ("1_000", None),
        ("many", None),
        ("3 images", None),
        ("2147483648", None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("٣", None),
        ("5\n", None),
        ("1\\2", None),
    ],
)
def test_R13_a_value_that_is_no_number_or_below_1_is_no_value(text, number):
    assert number_of_images(text) == number


@given(text=st.none() | st.text(st.characters()) | st.integers().map(str))
def test_R13_a_number_of_images_is_a_positive_one(text):
    number = number_of_images(text)
    assert number is None or (number >= 1 and text is not None and int(text) == number)


@pytest.mark.parametrize(
    ("in_series", "in_acquisition", "expected"), [(3, 4, 3), (3, None, 3), (None, 4, 4), (None, None, None)]
)
def test_R13_expected_is_the_first_number_of_two(in_series, in_acquisition, expected):
    assert count(ReportedSeries("1.1", in_series, in_acquisition), set(), None).expected == expected


@pytest.mark.parametrize(
    ("expected", "here", "complete"),
    [(3, 0, False), (3, 2, False), (3, 3, True), (3, 4, True), (None, 0, False), (None, 6, False)],
)
def test_R13_complete_is_at_least_as_many_as_expected(expected, here, complete):
    assert count(ReportedSeries("1.1", expected), set(UIDS[:here]), None).complete is complete


def test_R13_without_a_number_the_list_counts():
    names = set(UIDS[:5])
    counted = count(ReportedSeries("1.1"), names, listed(names))
    assert counted == Count(6, 5, complete=False, missing=1)


# R22 (b)


@pytest.mark.parametrize(
    ("names", "are"),
    [
        (["1.2.3", "1.2.4"], True),
        (["1.2.3", "notes.txt"], True),
        ([], False),
        (["IM0001", "IM0002.dcm"], False),
        (["MR.1.2.3"], False),
        (["1.2.3.dcm"], False),
    ],
)
def test_R22_names_prove_something_only_where_they_are_uids(names, are):
    assert are_named_by_uid(names) is are


@pytest.mark.parametrize(
    ("uids", "names", "missing"),
    [
        (["1.1", "1.2"], ["1.1", "1.2"], set()),
        (["1.1", "1.2"], ["1.1", "1.2", "1.3", "notes"], set()),
        (["1.1", "1.2"], ["1.1", "1.3"], {"1.2"}),
        (["1.1"], ["1.10"], {"1.1"}),
        (["1.1"], [], {"1.1"}),
        ([], ["1.1"], set()),
    ],
)
def test_R22_missing_is_what_the_scanner_lists_and_no_file_is_named(uids, names, missing):
    assert missing_by_name(uids, names) == missing


def test_R22_enough_images_do_not_make_up_for_one_that_is_missing():
    names = {*UIDS[:5], "1.9.1", "1.9.2"}
    assert not count(ReportedSeries("1.1", 6), names, listed(names)).complete


def test_R22_a_refused_list_leaves_the_decision_to_the_count():
    refused = listed([], uids=[], failure=Failure(Kind.REFUSED, "Failed: UnableToProcess"))
    assert refused is not None and refused.refused
    assert count(ReportedSeries("1.1", 6), set(UIDS), refused).complete
    assert not count(ReportedSeries("1.1", 6), {*UIDS[:5], "notes.txt"}, refused).complete, "a stray file is no image"


def test_R22_files_that_are_not_named_by_UIDs_are_counted():
    names = {f"IM{number}" for number in range(6)}
    assert count(ReportedSeries("1.1", 6), names, listed(names)).complete


# R33


@pytest.mark.parametrize(
    ("number", "planned", "uids", "answers", "here", "complete", "expected"),
    [
        (None, 10150, UIDS, 6, UIDS, True, 6),
        (None, 10150, UIDS, 6, UIDS[:5], False, 6),
        (6, None, UIDS[:5], 6, UIDS[:5], True, 5),
        (6, None, UIDS[:5], 5, UIDS[:5], False, 6),
        (6, None, UIDS[:5], 5, UIDS, True, 6),
        (6, None, UIDS, 6, UIDS, True, 6),
        (6, None, UIDS, 6, UIDS[:5], False, 6),
        (4, None, UIDS, 6, UIDS[:5], False, 6),
    ],
)
def test_R33_a_list_beats_a_planned_number(number, planned, uids, answers, here, complete, expected):
    counted = count(ReportedSeries("1.1", number, planned), set(here), listed(set(here), uids, answers))
    assert (counted.complete, counted.expected) == (complete, expected)


def test_R33_a_list_decides_only_without_the_number_of_the_series():
    found = listed([])
    assert list_decides(ReportedSeries("1.1", None, 10150), found)
    assert not list_decides(ReportedSeries("1.1", 6), found)
    assert not list_decides(ReportedSeries("1.1"), None)


# R34


@pytest.mark.parametrize("kind", [Kind.OUT_OF_RESOURCES, Kind.CANCELLED, Kind.REFUSED])
def test_R34_a_list_that_is_cut_short_three_times_in_a_row_counts_as_a_refusal(kind):
    failure, names = Failure(kind, "cut"), set(UIDS)
    known = None
    for times in (1, 2, 3):
        known = listed(names, UIDS[:4], failure=failure, earlier=known)
        assert known is not None and known.cut_in_a_row == times
    assert count(ReportedSeries("1.1", 6), names, known).complete
    assert not count(ReportedSeries("1.1", 6), set(UIDS[1:]) | {"1.9"}, known._replace(missing=1)).complete, (
        "one listed is missing"
    )
    again = listed(names, UIDS, earlier=known)
    assert again is not None and again.cut_in_a_row == 0


@pytest.mark.parametrize("kind", [Kind.UNREACHABLE, Kind.INTERRUPTED, Kind.STALLED, Kind.BUSY])
def test_R34_a_network_that_breaks_says_nothing_about_the_list(kind):
    failure = Failure(kind, "broke")
    assert not is_answer(failure)
    assert listed([], failure=failure) is None


def test_R33_a_list_of_before_is_no_proof_after_images_arrived():
    known = listed(set(UIDS[:2]))
    assert known is not None and known.missing == 4
    assert stale(known, 5).missing == 1
    assert count(ReportedSeries("1.1", 6), set(UIDS), stale(known, 6)).complete


# R36


@pytest.mark.parametrize(
    ("reported", "solid", "here", "since", "expected"),
    [
        (True, 6, 2, None, Count(6, 2, False)),
        (True, 4, 2, None, Count(6, 2, False)),
        (True, 4, 4, ago(3599), Count(6, 4, False, given_up_in=1.0)),
        (True, 4, 4, ago(3600), Count(6, 4, True, vanished=True)),
        (True, 4, 2, ago(3600), Count(6, 2, False, vanished=True)),
        (True, 4, 6, None, Count(4, 6, True)),
        (False, None, 2, None, Count(6, 2, False, given_up_in=3600.0)),
        (False, None, 2, ago(3600), Count(6, 2, True, vanished=True)),
        (False, None, 6, None, Count(6, 6, True)),
    ],
)
def test_R36_what_vanished_at_the_scanner_is_waited_for_during_an_hour(reported, solid, here, since, expected):
    counted = count(ReportedSeries("1.1", solid), set(UIDS[:here]), None)
    memory = SeriesMemory(expected=6, largest_reported=6, shrunk_since=since)
    found, now_since = with_vanished(counted, solid, memory, NOW, reported=reported)
    assert found == expected
    assert now_since == (None if solid == 6 else since or NOW)


def test_R36_a_planned_number_that_falls_is_no_loss():
    counted = count(ReportedSeries("1.1", None, 4), set(UIDS[:4]), None)
    found, since = with_vanished(counted, None, SeriesMemory(largest_reported=None, expected=10), NOW, reported=True)
    assert (found, since) == (counted, None)


# R37


def test_R37_a_series_without_an_image_is_complete_after_two_empty_lists():
    reported, empty = ReportedSeries("1.1"), listed([], uids=[])
    assert empty is not None
    assert empty_since(empty, reported, SeriesMemory(), NOW, ended=False) is None
    since = empty_since(empty, reported, SeriesMemory(), ago(60), ended=True)
    assert since == ago(60)
    assert not is_empty(since, ago(60), 60)
    assert not is_empty(since, ago(1), 60)
    assert is_empty(since, NOW, 60)
    assert count(reported, set(), empty, empty=True).complete
    assert not count(reported, set(), empty, empty=False).complete


@pytest.mark.parametrize(
    ("reported", "known"),
    [
        (ReportedSeries("1.1", 6), listed([], uids=[])),
        (ReportedSeries("1.1"), listed([])),
        (ReportedSeries("1.1"), None),
        (ReportedSeries("1.1"), listed([], uids=[], failure=Failure(Kind.REFUSED, "no"))),
    ],
)
def test_R37_only_an_empty_list_without_a_count_is_no_image(reported, known):
    assert empty_since(known, reported, SeriesMemory(empty_since=ago(600)), NOW, ended=True) is None


# R40


@pytest.mark.parametrize(
    ("modality", "modalities", "wanted"),
    [
        ("MR", None, True),
        ("MR", ("MR",), True),
        ("SR", ("MR",), False),
        (None, ("MR",), True),
        ("", ("MR",), True),
        ("SR", ("MR", "SR"), True),
    ],
)
def test_R40_series_of_other_modalities_are_not_wanted(modality, modalities, wanted):
    assert is_wanted(modality, modalities) is wanted
