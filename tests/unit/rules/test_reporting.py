"""What a request waits for in words, and why it failed (R31, R38), as tables."""

import pytest

from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import WaitsFor
from scanner_mover.rules.records import Attempt, Listing, SeriesMemory
from scanner_mover.rules.reporting import Stuck, Waiting, failed_reason, stuck_text, waiting
from scanner_mover.rules.series import Count

SUCCEEDED = Attempt(Moment("boot", 5), True, False, 0, "")
FAILED = SUCCEEDED._replace(succeeded=False, error="Warning: 0xB000")
MISSING = Count(6, 4, False, missing=2)
WAITS = SeriesMemory(attempt=SUCCEEDED, fruitless=1)
STUCK = SeriesMemory(attempt=SUCCEEDED, fruitless=3)
EMPTY = SeriesMemory(listing=Listing(succeeded=True))


def waits(waits_for: WaitsFor, *series: tuple[Count, SeriesMemory], due_in=90.0, quiet=42.0, steps=(), error=None):
    return waiting(waits_for, series=series, due_in=due_in, quiet_left=quiet, open_steps=steps, error=error)


@pytest.mark.parametrize(
    ("waits_for", "series", "error", "text", "seconds"),
    [
        (WaitsFor.RETRIEVE, [(MISSING, SeriesMemory())], None, "retrieving", None),
        (WaitsFor.RETRIEVE, [(MISSING, WAITS)], "no room", "2 of 6 images missing, no room", 90),
        (WaitsFor.IMAGES, [(MISSING, WAITS)], None, "2 of 6 images missing", 90),
        (
            WaitsFor.IMAGES,
            [(MISSING, STUCK)],
            None,
            "2 of 6 images missing, C-MOVE says Success but nothing arrives",
            90,
        ),
        (
            WaitsFor.IMAGES,
            [(MISSING, STUCK), (MISSING, STUCK._replace(attempt=FAILED))],
            None,
            "4 of 12 images missing, Warning: 0xB000",
            90,
        ),
        (WaitsFor.IMAGES, [(MISSING, WAITS._replace(attempt=FAILED))], None, "2 of 6 images missing", 90),
        (WaitsFor.IMAGES, [(MISSING, WAITS), (Count(None, 3, False), WAITS)], None, "2 series incomplete", 90),
        (WaitsFor.IMAGES, [(MISSING, WAITS), (Count(9, 9, True), STUCK)], None, "2 of 6 images missing", 90),
        (WaitsFor.QUIET, [], None, "closes if nothing changes", 42),
        (WaitsFor.QUIET, [(Count(9, 9, True), WAITS)], None, "closes if nothing changes", 42),
        (
            WaitsFor.QUIET,
            [(Count(6, 2, False, given_up_in=3000.0), WAITS), (Count(9, 9, True), WAITS)],
            None,
            "closes incomplete if nothing changes, the scanner no longer has 4 of 6 images",
            3000,
        ),
        (WaitsFor.IMAGES, [(Count(None, 0, False), EMPTY)], None, "the scanner lists no image of 1 series", 90),
        (WaitsFor.IMAGES, [(Count(None, 0, False), EMPTY), (MISSING, WAITS)], None, "2 series incomplete", 90),
        (WaitsFor.MPPS, [], None, "no MPPS file", 42),
        (WaitsFor.SCANNER, [], None, "the scanner has no series of it", None),
        (WaitsFor.SCANNER, [], "Connection refused", "Connection refused", 90),
        (WaitsFor.NOTHING, [], None, "", None),
    ],
)
def test_what_a_request_waits_for(waits_for, series, error, text, seconds):
    found = waits(waits_for, *series, error=error)
    assert (found.waits_for, found.text, found.seconds) == (waits_for, text, seconds)


def test_R32_without_a_time_for_it_nothing_is_said_of_closing_without_a_file():
    assert waits(WaitsFor.MPPS, quiet=0.0).seconds is None


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], "still in progress"),
        (["MPPS.1.2.3"], "step MPPS.1.2.3 still in progress"),
        (["a", "b"], "steps a, b still in progress"),
        (["a", "b", "c", "d"], "steps a, b and 2 more still in progress"),
    ],
)
def test_R21_the_steps_that_are_open_are_named(steps, text):
    assert waits(WaitsFor.PROCEDURE, steps=steps).text == text


@pytest.mark.parametrize(
    ("found", "missing", "reason"),
    [
        (Waiting(WaitsFor.MPPS, "no MPPS file"), [], "no MPPS file"),
        (Waiting(WaitsFor.NOTHING, ""), [], "not finished in time"),
        (
            Waiting(WaitsFor.IMAGES, "x", why="C-MOVE says Success but nothing arrives"),
            [SeriesMemory(expected=6, received=4)],
            "4 of 6 images of 1 incomplete series arrived; C-MOVE says Success but nothing arrives",
        ),
        (
            Waiting(WaitsFor.RETRIEVE, "retrieving"),
            [SeriesMemory(expected=6, received=4), SeriesMemory(expected=3)],
            "4 of 9 images of 2 incomplete series arrived",
        ),
        (
            Waiting(WaitsFor.IMAGES, "x"),
            [SeriesMemory(received=4), SeriesMemory(expected=3)],
            "4 images of 2 incomplete series arrived",
        ),
    ],
)
def test_R38_why_a_request_failed(found, missing, reason):
    assert failed_reason(found, missing) == reason


def test_R31_what_the_receiver_does_not_take_is_named():
    stuck = Stuck("1.2.3", "1.2.3.4", 4, 6, (), "Warning: 0xB000", ("RawDataStorage", "1.2.840.10008.1.2.4.57"))
    line = stuck_text(stuck, "MOVER", "port 11112")
    assert "the receiver does not take RawDataStorage, 1.2.840.10008.1.2.4.57; " in line


def test_R38_a_study_that_the_scanner_no_longer_has_says_what_is_here():
    why = Waiting(WaitsFor.SCANNER, "the scanner has no series of it")
    text = "2 of 6 images of 1 incomplete series arrived; the scanner has no series of it"
    assert failed_reason(why, [SeriesMemory(expected=6, received=2)]) == text
