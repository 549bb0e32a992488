"""Dates as people say them: what becomes of them in a C-FIND (PS3.4 C.2.2.2.5), and what is refused."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dates import date_range

TODAY = datetime.date(2026, 3, 1)
DAYS = st.dates(min_value=datetime.date(1000, 1, 1))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("today", "20260301"),
        ("yesterday", "20260228"),
        ("0d", "20260301-20260301"),
        ("1d", "20260228-20260301"),
        ("7d", "20260222-20260301"),
        ("365d", "20250301-20260301"),
        ("20260131", "20260131"),
        ("2026-01-31", "20260131"),
        ("20240229", "20240229"),
        ("20260101-20260131", "20260101-20260131"),
        ("2026-01-01-2026-01-31", "20260101-20260131"),
        ("2026-01-01-20260131", "20260101-20260131"),
        ("20260131-20260131", "20260131-20260131"),
        ("20260101-", "20260101-"),
        ("2026-01-01-", "20260101-"),
        ("-20260131", "-20260131"),
        ("-2026-01-31", "-20260131"),
    ],
)
def test_a_date_is_what_people_mean(said, asked):
    assert date_range(said, TODAY) == asked


@pytest.mark.parametrize(
    ("today", "yesterday"),
    [
        (datetime.date(2024, 3, 1), "20240229"),
        (datetime.date(2026, 1, 1), "20251231"),
    ],
)
def test_yesterday_knows_the_calendar(today, yesterday):
    assert date_range("yesterday", today) == yesterday


@pytest.mark.parametrize(
    "said",
    [
        "",
        " ",
        "-",
        "Today",
        "tomorrow",
        "d",
        "-7d",
        "7 d",
        "7w",
        "99999d",
        "٧d",
        "2026",
        "202601",
        "2026013",
        "202601311",
        "31.01.2026",
        "2026/01/31",
        "20260101-20260131-20260201",
        "20260101:20260131",
        "20260101\\20260131",
        "2026*",
        "20260131\n",
        "２０２６０１３１",
    ],
)
def test_what_is_no_date_is_refused_and_the_forms_are_named(said):
    with pytest.raises(ValueError, match="is no date: write today, yesterday, 7d, 2026-01-31 or 20260101-20260131"):
        date_range(said, TODAY)


@pytest.mark.parametrize(
    "said", ["20260230", "20250229", "20261301", "20260100", "00000101", "20260101-20260230", "20260230-", "-20261301"]
)
def test_a_day_that_does_not_exist_is_refused(said):
    with pytest.raises(ValueError, match="is no day of the calendar"):
        date_range(said, TODAY)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="ends before it begins"):
        date_range("20260131-20260101", TODAY)


@given(DAYS, DAYS)
def test_each_pair_of_days_in_order_is_a_range_in_either_form(one, other):
    first, last = sorted([one, other])
    expected = f"{first:%Y%m%d}-{last:%Y%m%d}"
    assert date_range(expected, TODAY) == expected
    assert date_range(f"{first.isoformat()}-{last.isoformat()}", TODAY) == expected


@given(st.integers(0, 9999))
def test_so_many_days_end_today_and_begin_so_many_days_ago(days):
    first, last = date_range(f"{days}d", TODAY).split("-")
    assert last == "20260301"
    begin = datetime.datetime.strptime(first, "%Y%m%d").date()
    assert TODAY - begin == datetime.timedelta(days=days)


@given(st.text())
def test_nothing_but_digits_and_one_dash_is_ever_asked(said):
    try:
        asked = date_range(said, TODAY)
    except ValueError:
        return
    first, _, last = asked.partition("-")
    for day in filter(None, (first, last)):
        assert len(day) == 8
        assert day.isascii()
        assert day.isdigit()
