"""What `status` says in words: ages, times, what is waited for."""

import time

import pytest

from scanner_mover import clock
from scanner_mover.display.plain import age_in_words, table, waits_for, when
from scanner_mover.rules.outcomes import WaitsFor
from scanner_mover.transfer.overview import Waiting
from tests.unit.display.overviews import EVERYTHING, NOW, overview

NOON = time.mktime((*time.localtime()[:3], 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (Waiting(WaitsFor.NOTHING, "not looked at yet"), "not looked at yet"),
        (Waiting(), "-"),
        (Waiting(WaitsFor.QUIET, "closes if nothing changes", NOON + 42.9), "closes in 42 s if nothing changes"),
        (Waiting(WaitsFor.QUIET, "closes if nothing changes", NOON - 5), "closes in the next pass if nothing changes"),
        (
            Waiting(WaitsFor.QUIET, "closes incomplete if nothing changes, the scanner no longer has it", NOON + 3000),
            "closes incomplete in 50 min 0 s if nothing changes, the scanner no longer has it",
        ),
        (Waiting(WaitsFor.PROCEDURE, "step MPPS.1.2.3 still in progress"), "step MPPS.1.2.3 still in progress"),
        (Waiting(WaitsFor.MPPS, "no MPPS file"), "no MPPS file"),
        (Waiting(WaitsFor.MPPS, "no MPPS file", NOON + 1920), "no MPPS file, closes 12:32 without one"),
        (Waiting(WaitsFor.RETRIEVE, "3 of 6 images missing", NOON), "3 of 6 images missing, next try in the next pass"),
        (
            Waiting(WaitsFor.IMAGES, "2 of 6 images missing, C-MOVE says Success but nothing arrives", NOON + 1920),
            "2 of 6 images missing, next try 12:32, C-MOVE says Success but nothing arrives",
        ),
        (Waiting(WaitsFor.SCANNER, "", NOON + 60), "next try 12:01"),
    ],
)
def test_what_a_request_waits_for_in_words_with_a_time(waiting, words):
    assert waits_for(waiting, NOON) == words


def test_a_time_of_another_day_has_its_date():
    assert when(clock.iso(NOON)) == "12:00"
    assert when("2020-01-31T10:15:00+01:00") == "2020-01-31 10:15"


def test_the_columns_begin_where_their_headings_stand():
    lines = table(EVERYTHING)
    (heading,) = (line for line in lines if line.startswith("study "))
    rows = lines[lines.index(heading) + 1 :]
    assert len(rows) == len(EVERYTHING.requests)
    for name in ("age", "procedure", "state", "waits for", "last"):
        place = heading.index(f"  {name}") + 2
        for row in rows:
            assert row[place - 2 : place] == "  "
            assert row[place] != " "


def test_an_age_counts_from_when_it_was_looked_at():
    assert "last pass 12 s ago" in "\n".join(table(overview()))
    assert overview().last_pass_at == NOW - 12


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (86400 * 400 + 7200, "400 d 2 h"),
    ],
)
def test_an_age_is_said_in_the_two_units_that_matter(seconds, words):
    assert age_in_words(seconds) == words
