"""Whether a procedure has ended, and whether a request is closed or fails (R14, R19 to R24, R32, R35), as tables."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.moment import Moment
from scanner_mover.rules.closing import (
    fingerprint,
    gives_up,
    no_mpps_seconds,
    over_age_since,
    procedure,
    quiet_left,
    step_has_ended,
    study_reports_more,
    unchanged_since,
    waits_for,
)
from scanner_mover.rules.outcomes import Procedure, WaitsFor
from scanner_mover.rules.series import Count

BOOT, OTHER_BOOT = "one boot", "another boot"
NOW = Moment(BOOT, 1000)
ENDED, RUNNING, UNKNOWN = Procedure.ENDED, Procedure.IN_PROGRESS, Procedure.UNKNOWN
WHOLE, PART, UNCOUNTED = Count(3, 3, True), Count(3, 2, False), Count(None, 9, False)
# All that the scanner still tells is here (R36).
GONE = Count(6, 2, False, given_up_in=90.0)
TODAY = datetime.date(2026, 2, 1)


def ago(seconds: float, boot: str = BOOT) -> Moment:
    return Moment(boot, NOW.seconds - seconds)


# R19 to R21


@pytest.mark.parametrize(
    ("status", "end_time", "ended"),
    [
        ("COMPLETED", "104500", True),
        ("COMPLETED", None, True),
        ("DISCONTINUED", None, True),
        ("DISCONTINUED", "104500", True),
        ("IN PROGRESS", None, False),
        ("IN PROGRESS", "104500", False),
        (" completed ", None, True),
        (None, "104500", True),
        (None, None, False),
        (None, "", False),
        ("", "", False),
        ("SUSPENDED", None, False),
        ("SUSPENDED", "104500", True),
    ],
)
def test_R21_the_status_of_a_step_decides_and_without_one_its_end_time(status, end_time, ended):
    assert step_has_ended(status, end_time) is ended
    assert step_has_ended(status, end_time, readable=False) is False


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        ([], UNKNOWN),
        ([True], ENDED),
        ([False], RUNNING),
        ([True, True], ENDED),
        ([True, False], RUNNING),
        ([False, True], RUNNING),
    ],
)
def test_R19_R20_a_procedure_has_ended_when_all_its_steps_have(ended, state):
    assert procedure(ended) is state


# R14, R20 to R23, R40


@pytest.mark.parametrize(
    ("answered", "counts", "state", "quiet", "due", "what"),
    [
        (True, [WHOLE], ENDED, 0, False, None),
        (True, [WHOLE, WHOLE], ENDED, 0, False, None),
        (False, [WHOLE], ENDED, 0, False, WaitsFor.SCANNER),
        (True, [], ENDED, 0, False, WaitsFor.SCANNER),
        (False, [], ENDED, 0, False, WaitsFor.SCANNER),
        (True, [WHOLE, PART], ENDED, 0, False, WaitsFor.IMAGES),
        (True, [PART, WHOLE], ENDED, 0, True, WaitsFor.RETRIEVE),
        (True, [WHOLE, UNCOUNTED], ENDED, 0, False, WaitsFor.IMAGES),
        (True, [WHOLE], RUNNING, 0, False, WaitsFor.PROCEDURE),
        (True, [WHOLE], UNKNOWN, 0, False, WaitsFor.MPPS),
        (True, [WHOLE], ENDED, 0.1, False, WaitsFor.QUIET),
        (True, [WHOLE, GONE], ENDED, 0, False, WaitsFor.QUIET),
        (True, [GONE], RUNNING, 0, False, WaitsFor.PROCEDURE),
        (True, [GONE], UNKNOWN, 0, False, WaitsFor.MPPS),
        (True, [GONE, PART], ENDED, 0, False, WaitsFor.IMAGES),
        (True, [GONE, PART], ENDED, 0, True, WaitsFor.RETRIEVE),
        (False, [GONE], ENDED, 0, False, WaitsFor.SCANNER),
    ],
)
def test_R22_R23_finished_is_answered_whole_ended_and_quiet(answered, counts, state, quiet, due, what):
    found = waits_for(answered=answered, counts=counts, wanted=len(counts), state=state, quiet=quiet, due=due)
    assert found is what


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("state", list(Procedure))
@pytest.mark.parametrize("quiet", [0, 60])
def test_R14_zero_series_is_never_finished(answered, state, quiet):
    found = waits_for(answered=answered, counts=[], wanted=0, state=state, quiet=quiet, due=False)
    assert found is WaitsFor.SCANNER


@pytest.mark.parametrize("state", list(Procedure))
def test_R14_without_a_final_success_nothing_is_finished(state):
    found = waits_for(answered=False, counts=[WHOLE], wanted=1, state=state, quiet=0, due=False)
    assert found is WaitsFor.SCANNER


counted = st.builds(
    Count, st.none() | st.integers(0, 3), st.integers(0, 3), st.booleans(), given_up_in=st.none() | st.just(5.0)
)


@given(
    answered=st.booleans(),
    counts=st.lists(counted, max_size=3),
    state=st.sampled_from(Procedure),
    quiet=st.sampled_from([0.0, 1.0]),
    due=st.booleans(),
)
def test_R14_R22_what_may_finish_has_a_series_and_each_is_here(answered, counts, state, quiet, due):
    here = any(one.received for one in counts) and all(one.complete for one in counts)
    finished = answered and state is ENDED and not quiet and here
    found = waits_for(answered=answered, counts=counts, wanted=len(counts), state=state, quiet=quiet, due=due)
    assert (found is None) == bool(finished)


# R22 (a)

REPORTED = fingerprint([("1.1", 3, ""), ("1.2", None, "")])


@pytest.mark.parametrize(
    "other",
    [
        [("1.1", 3, "")],
        [("1.1", 2, ""), ("1.2", None, "")],
        [("1.1", 3, ""), ("1.2", 1, "")],
        [("1.1", 3, ""), ("1.3", None, "")],
        [("1.1", 3, ""), ("1.2", None, "a list")],
        [],
    ],
)
def test_R22_a_series_a_count_or_a_list_that_changed_starts_the_wait_anew(other):
    assert unchanged_since(fingerprint(other), REPORTED, ago(70), NOW) == NOW


def test_R22_the_order_of_the_answers_is_no_change():
    assert fingerprint([("1.2", None, ""), ("1.1", 3, "")]) == REPORTED


@pytest.mark.parametrize(
    ("earlier_reported", "earlier", "since"),
    [
        (REPORTED, ago(70), ago(70)),
        (REPORTED, ago(0), ago(0)),
        (None, None, NOW),
        (REPORTED, None, NOW),
        (None, ago(70), NOW),
        (REPORTED, ago(70, OTHER_BOOT), NOW),
        (REPORTED, ago(-5), NOW),
    ],
)
def test_R22_unchanged_counts_from_when_it_was_first_told(earlier_reported, earlier, since):
    assert unchanged_since(REPORTED, earlier_reported, earlier, NOW) == since


@pytest.mark.parametrize(
    ("since", "seconds", "left"),
    [
        (ago(60), 60, 0),
        (ago(61), 60, 0),
        (ago(59.5), 60, 0.5),
        (NOW, 60, 60),
        (NOW, 0, 0),
        (ago(100, OTHER_BOOT), 60, 60),
        (ago(-100), 60, 60),
    ],
)
def test_R22_quiet_is_unchanged_for_long_enough_on_the_monotonic_clock(since, seconds, left):
    assert quiet_left(since, NOW, seconds) == pytest.approx(left)


# R32


@pytest.mark.parametrize(
    ("option", "expected", "study_date", "seconds"),
    [
        (None, True, "20200101", None),
        (None, False, "20200101", 900),
        (None, False, "20260130", 900),
        (None, False, "20260131", 14400),
        (None, False, "20260201", 14400),
        (None, False, "20270101", 14400),
        (None, False, "2020.01.01", 900),
        (None, False, "", 14400),
        (None, False, "no date", 14400),
        (None, False, None, 900),
        (60.0, True, None, 60),
        (60.0, False, "20260201", 60),
    ],
)
def test_R32_how_long_a_study_without_an_MPPS_file_must_stay_the_same(option, expected, study_date, seconds):
    assert no_mpps_seconds(option, expected, study_date, TODAY) == seconds


# R35


@pytest.mark.parametrize(
    ("series_reported", "images_reported", "series", "images", "more"),
    [
        (None, None, 2, [5, 5], False),
        (2, 10, 2, [5, 5], False),
        (4, 20, 2, [5, 5], True),
        (4, None, 2, [5, 5], True),
        (None, 20, 2, [5, 5], True),
        (2, 11, 2, [5, 5], True),
        (1, 9, 2, [5, 5], False),
        (2, 20, 2, [5, None], False),
        (None, 20, 0, [], True),
    ],
)
def test_R35_a_study_that_tells_more_than_its_series_is_not_closed(
    series_reported, images_reported, series, images, more
):
    assert study_reports_more(series_reported, images_reported, series, images) is more


# R24


@pytest.mark.parametrize(
    ("over_age", "answered", "earlier", "since"),
    [
        (False, True, None, None),
        (False, True, ago(100), None),
        (False, False, ago(100), None),
        (True, True, None, NOW),
        (True, False, None, None),
        (True, True, ago(100), ago(100)),
        (True, False, ago(100), ago(100)),
        (True, True, ago(100, OTHER_BOOT), NOW),
        (True, False, ago(100, OTHER_BOOT), None),
        (True, True, ago(-5), NOW),
    ],
)
def test_R24_over_age_counts_from_a_pass_that_the_scanner_answered(over_age, answered, earlier, since):
    assert over_age_since(over_age, answered, earlier, NOW) == since


@pytest.mark.parametrize(
    ("answered", "since", "gives"),
    [
        (True, ago(60), True),
        (True, ago(100_000), True),
        (True, ago(59.9), False),
        (True, NOW, False),
        (True, None, False),
        (False, ago(100_000), False),
        (False, None, False),
        (True, ago(100, OTHER_BOOT), False),
        (True, ago(-100), False),
    ],
)
def test_R24_a_request_fails_when_it_was_over_age_twice_a_minute_apart(answered, since, gives):
    assert gives_up(answered, since, NOW) is gives


passes = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 100)), max_size=6)


@given(passes=passes)
def test_R24_whatever_the_passes_see_one_answer_and_one_look_at_the_age_are_never_enough(passes):
    since, now, seen = None, 0.0, []
    for over_age, answered, pause in passes:
        now += pause
        seen = [*seen, (over_age, answered, now)] if over_age else []
        since = over_age_since(over_age, answered, since, Moment(BOOT, now))
        if over_age and gives_up(answered, since, Moment(BOOT, now)):
            first = next(at for _, answered_then, at in seen if answered_then)
            assert answered and now - first >= 60 and len(seen) >= 2
