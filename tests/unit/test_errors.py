"""The exit statuses of the command line, and which one counts when several hold."""

import itertools

import pytest

from scanner_mover import errors
from scanner_mover.errors import Ended, ExitStatus, worst

CONTRACT = {0: "OK", 1: "LOCK_HELD", 2: "USAGE", 3: "CONFIGURATION", 4: "UNUSABLE", 5: "SCANNER", 6: "REQUEST_FAILED"}
WORST_FIRST = [128 + 15, 70, 3, 4, 6, 5, 1, 0]


def test_the_numbers_are_those_that_scripts_know():
    assert {int(status): status.name for status in ExitStatus} == {**CONTRACT, 70: "INTERNAL"}
    assert ExitStatus.ATTENTION is ExitStatus.LOCK_HELD


@pytest.mark.parametrize(
    ("statuses", "counts"),
    [
        ((), 0),
        ((0, 0), 0),
        ((5, 6), 6),
        ((6, 4), 4),
        ((4, 3), 3),
        ((3, 70), 70),
        ((70, 143), 143),
        ((130, 143), 143),
        ((1, 0), 1),
        ((5, 77), 70),
    ],
)
def test_the_worst_of_several_counts(statuses, counts):
    assert worst(statuses) == counts


def test_the_order_in_which_they_are_met_does_not_matter():
    for first, second in itertools.combinations(WORST_FIRST, 2):
        assert worst([first, second]) == worst([second, first]) == first


def test_an_error_is_never_an_exit_status_that_means_something_else():
    known = {
        one.exit_status
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.ScannerMoverError)
    }
    assert known == {1, 2, 3, 4}
    assert (Ended(15).exit_status, Ended(15).signal_number) == (143, 15)
