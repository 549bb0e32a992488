"""Whose turn it is (R25), as tables."""

import pytest

from scanner_mover.moment import Moment
from scanner_mover.rules.records import Attempt, SeriesMemory, StudyMemory
from scanner_mover.rules.turns import (
    errors_last,
    has_had_its_turn,
    has_one_never_asked_for,
    in_order_of_attempts,
    in_order_of_turn,
    series_in_order,
)


def test_R25_a_failing_study_comes_last_and_no_failing_one_keeps_another_waiting():
    memory = {"2": StudyMemory(failed_at=20.0), "3": StudyMemory(failed_at=10.0), "4": StudyMemory()}
    assert in_order_of_turn(["1", "2", "3", "4"], str, memory) == ["1", "4", "3", "2"]


def test_R25_a_study_with_an_error_is_asked_about_last():
    memory = {"1": StudyMemory(error="failed"), "2": StudyMemory()}
    assert errors_last(["1", "2", "3"], memory) == ["2", "3", "1"]


BOOT = "one boot"


def asked(seconds: float, boot: str = BOOT) -> SeriesMemory:
    return SeriesMemory(attempt=Attempt(Moment(boot, seconds), True, False, 0, "6:"))


def test_R25_a_failing_series_comes_last():
    memory = {"1": SeriesMemory(error="failed"), "2": SeriesMemory()}
    assert series_in_order(["1", "2", "3"], memory, BOOT) == ["2", "3", "1"]


def test_R29_a_series_that_was_never_asked_for_comes_first_and_the_one_asked_for_last_comes_last():
    memory = {"1": asked(30), "2": asked(20), "3": asked(40), "4": SeriesMemory()}
    assert series_in_order(["1", "2", "3", "4", "5"], memory, BOOT) == ["4", "5", "2", "1", "3"]


def test_R29_a_study_with_a_series_that_was_never_asked_for_goes_before_older_ones():
    memory = {"1": StudyMemory(series={"1.1": asked(1)}), "2": StudyMemory(series={"2.1": asked(2)})}
    assert in_order_of_attempts(["1", "2"], str, memory, (), BOOT) == ["1", "2"]
    assert in_order_of_attempts(["1", "2"], str, memory, {"2"}, BOOT) == ["2", "1"]


def test_R29_while_the_scanner_sends_nothing_the_attempts_go_round():
    complete = asked(1)._replace(complete=True)
    memory = {
        "1": StudyMemory(series={"1.1": complete, "1.2": asked(40)}),
        "2": StudyMemory(series={"2.1": asked(30), "2.2": asked(50)}),
        "3": StudyMemory(series={"3.1": asked(30)}),
        "4": StudyMemory(series={"4.1": complete}),
    }
    assert in_order_of_attempts(["1", "2", "3", "4", "5"], str, memory, {"5"}, BOOT) == ["5", "2", "3", "1", "4"]


def test_R29_what_was_asked_for_before_the_machine_started_anew_comes_first():
    """The machine had run for months: by its seconds alone that would have its turn in as many months again."""
    memory = {"1": asked(30), "2": asked(5e6, "an earlier boot"), "3": asked(20)}
    assert series_in_order(["1", "2", "3"], memory, BOOT) == ["2", "3", "1"]
    studies = {uid: StudyMemory(series={f"{uid}.1": one}) for uid, one in memory.items()}
    assert in_order_of_attempts(["1", "2", "3"], str, studies, (), BOOT) == ["2", "3", "1"]


@pytest.mark.parametrize(
    ("uids", "new"),
    [(["1"], False), (["1", "2"], True), (["1", "3"], True), (["1", "4"], False), ([], False)],
)
def test_R29_which_studies_have_one(uids, new):
    known = {"1": asked(1), "2": SeriesMemory(), "4": SeriesMemory(complete=True)}
    assert has_one_never_asked_for(uids, StudyMemory(series=known)) is new
    assert has_one_never_asked_for(uids, None) is bool(uids)


@pytest.mark.parametrize(("seconds", "others", "had"), [(599, 3, False), (600, 3, True), (600, 0, False)])
def test_R25_a_study_lets_others_go_first_after_ten_minutes(seconds, others, had):
    assert has_had_its_turn(seconds, others) is had
