"""Whose turn it is (R25), as tables."""

import pytest

from scanner_mover.rules.records import SeriesMemory, StudyMemory
from scanner_mover.rules.turns import errors_last, has_had_its_turn, in_order_of_turn


def test_R25_a_failing_study_comes_last_and_no_failing_one_keeps_another_waiting():
    memory = {"2": StudyMemory(failed_at=20.0), "3": StudyMemory(failed_at=10.0), "4": StudyMemory()}
    assert in_order_of_turn(["1", "2", "3", "4"], str, memory) == ["1", "4", "3", "2"]


def test_R25_a_failing_series_comes_last():
    memory = {"1": SeriesMemory(error="failed"), "2": SeriesMemory()}
    assert errors_last(["1", "2", "3"], memory) == ["2", "3", "1"]


@pytest.mark.parametrize(("seconds", "others", "had"), [(599, 3, False), (600, 3, True), (600, 0, False)])
def test_R25_a_study_lets_others_go_first_after_ten_minutes(seconds, others, had):
    assert has_had_its_turn(seconds, others) is had
