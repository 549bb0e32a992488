"""What is decided from what is known: the rules R13, R14, R18 and R20 to R25 as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.moment import Moment
from scanner_mover.rules import (
    Procedure,
    SeriesFacts,
    are_named_by_uid,
    expected_images,
    gives_up,
    is_quiet,
    may_finish,
    may_pull,
    missing_by_name,
    number_of_images,
    over_age_since,
    procedure,
    unchanged_since,
)

BOOT, OTHER_BOOT = "one boot", "another boot"
NOW = Moment(BOOT, 1000)
ENDED, RUNNING, UNKNOWN = Procedure.ENDED, Procedure.IN_PROGRESS, Procedure.UNKNOWN
WHOLE, PART, UNCOUNTED = SeriesFacts("1.1", 3, 3), SeriesFacts("1.2", 3, 2), SeriesFacts("1.3", None, 9)


def ago(seconds: float, boot: str = BOOT) -> Moment:
    return Moment(boot, NOW.seconds - seconds)


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


@pytest.mark.parametrize(
    ("in_series", "in_acquisition", "listed", "expected"),
    [
        ("3", "4", 5, 3),
        ("3", None, None, 3),
        ("", "4", 5, 4),
        ("0", "4", 5, 4),
        ("-1", "4", 5, 4),
        ("x", "4", 5, 4),
        (None, "4", None, 4),
        (None, None, 5, 5),
        ("", "0", 5, 5),
        ("0", "x", 5, 5),
        (None, None, None, None),
        ("0", "0", 0, None),
        ("", "", None, None),
    ],
)
def test_R13_expected_is_the_first_number_of_three(in_series, in_acquisition, listed, expected):
    assert expected_images(in_series, in_acquisition, listed) == expected


@pytest.mark.parametrize(
    ("expected", "received", "complete"),
    [(3, 0, False), (3, 2, False), (3, 3, True), (3, 4, True), (None, 0, False), (None, 1000, False)],
)
def test_R13_complete_is_at_least_as_many_as_expected(expected, received, complete):
    assert SeriesFacts("1.1", expected, received).complete is complete


@given(text=st.none() | st.text(st.characters()) | st.integers().map(str))
def test_R13_a_number_of_images_is_a_positive_one(text):
    number = number_of_images(text)
    assert number is None or (number >= 1 and text is not None and int(text) == number)


# R18


@pytest.mark.parametrize(
    ("moved", "grows", "may"),
    [
        (None, False, True),
        (None, True, True),
        (ago(0), False, False),
        (ago(119.9), False, False),
        (ago(120), False, True),
        (ago(500), False, True),
        (ago(500), True, False),
        (ago(0), True, False),
        (ago(-5), False, True),
        (ago(1, OTHER_BOOT), False, True),
        (ago(1, OTHER_BOOT), True, False),
    ],
)
def test_R18_a_series_that_was_pulled_is_left_alone_while_it_grows_and_for_a_while(moved, grows, may):
    assert may_pull(moved, NOW, grows=grows, repull_after_seconds=120) is may


def test_R18_the_while_can_be_none():
    assert may_pull(NOW, NOW, grows=False, repull_after_seconds=0)


# R19 to R21


@pytest.mark.parametrize(
    ("end_times", "state"),
    [
        ([], UNKNOWN),
        (["104500"], ENDED),
        ([None], RUNNING),
        ([""], RUNNING),
        (["104500", "110000"], ENDED),
        (["104500", None], RUNNING),
        ([None, "104500"], RUNNING),
        (["", "104500"], RUNNING),
    ],
)
def test_R19_R20_R21_a_procedure_has_ended_when_all_its_steps_have(end_times, state):
    assert procedure(end_times) is state


# R14, R20 to R23


@pytest.mark.parametrize(
    ("answered", "series", "state", "quiet", "may"),
    [
        (True, [WHOLE], ENDED, True, True),
        (True, [WHOLE, WHOLE], ENDED, True, True),
        (False, [WHOLE], ENDED, True, False),
        (True, [], ENDED, True, False),
        (False, [], ENDED, True, False),
        (True, [WHOLE, PART], ENDED, True, False),
        (True, [PART, WHOLE], ENDED, True, False),
        (True, [WHOLE, UNCOUNTED], ENDED, True, False),
        (True, [UNCOUNTED], ENDED, True, False),
        (True, [WHOLE], RUNNING, True, False),
        (True, [WHOLE], UNKNOWN, True, False),
        (True, [WHOLE], ENDED, False, False),
    ],
)
def test_R22_R23_finished_is_answered_whole_ended_and_quiet(answered, series, state, quiet, may):
    assert may_finish(answered, series, state, quiet) is may


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("state", list(Procedure))
@pytest.mark.parametrize("quiet", [True, False])
def test_R14_zero_series_is_never_finished(answered, state, quiet):
    assert not may_finish(answered, [], state, quiet)


@pytest.mark.parametrize("state", list(Procedure))
def test_R14_without_a_final_success_nothing_is_finished(state):
    assert not may_finish(False, [WHOLE], state, True)


def test_R20_without_an_MPPS_file_a_study_is_in_progress():
    assert not may_finish(True, [WHOLE], procedure([]), True)


facts = st.builds(
    SeriesFacts,
    st.just("1.1"),
    st.none() | st.integers(-1, 3),
    st.integers(0, 3),
    st.integers(0, 1),
)


@given(
    answered=st.booleans(), series=st.lists(facts, max_size=3), state=st.sampled_from(Procedure), quiet=st.booleans()
)
def test_R14_R22_what_may_finish_has_a_series_and_each_is_here(answered, series, state, quiet):
    whole = [one.expected is not None and one.received >= one.expected and one.missing_by_name == 0 for one in series]
    finished = answered and state is ENDED and quiet and len(series) >= 1 and all(whole)
    assert may_finish(answered, series, state, quiet) == finished


# R22 (a)

COUNTS = [("1.1", 3), ("1.2", None)]


@pytest.mark.parametrize(
    ("counts", "earlier_counts", "earlier", "since"),
    [
        (COUNTS, COUNTS, ago(70), ago(70)),
        (COUNTS, list(COUNTS), ago(0), ago(0)),
        (COUNTS, None, None, NOW),
        (COUNTS, COUNTS, None, NOW),
        (COUNTS, None, ago(70), NOW),
        (COUNTS, [("1.1", 3)], ago(70), NOW),
        (COUNTS, [("1.1", 2), ("1.2", None)], ago(70), NOW),
        (COUNTS, [("1.1", 3), ("1.2", 1)], ago(70), NOW),
        (COUNTS, [("1.1", 3), ("1.3", None)], ago(70), NOW),
        ([], COUNTS, ago(70), NOW),
        (COUNTS, COUNTS, ago(70, OTHER_BOOT), NOW),
        (COUNTS, COUNTS, ago(-5), NOW),
    ],
)
def test_R22_a_series_or_a_count_that_changed_starts_the_wait_anew(counts, earlier_counts, earlier, since):
    assert unchanged_since(counts, earlier_counts, earlier, NOW) == since


@pytest.mark.parametrize(
    ("since", "seconds", "quiet"),
    [
        (ago(60), 60, True),
        (ago(61), 60, True),
        (ago(59.9), 60, False),
        (NOW, 60, False),
        (NOW, 0, True),
        (ago(100, OTHER_BOOT), 60, False),
        (ago(-100), 60, False),
    ],
)
def test_R22_quiet_is_unchanged_for_long_enough_on_the_monotonic_clock(since, seconds, quiet):
    assert is_quiet(since, NOW, seconds) is quiet


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
    ("listed", "names", "missing"),
    [
        (["1.1", "1.2"], ["1.1", "1.2"], set()),
        (["1.1", "1.2"], ["1.1", "1.2", "1.3", "notes"], set()),
        (["1.1", "1.2"], ["1.1", "1.3"], {"1.2"}),
        (["1.1"], ["1.10"], {"1.1"}),
        (["1.1"], [], {"1.1"}),
        ([], ["1.1"], set()),
    ],
)
def test_R22_missing_is_what_the_scanner_lists_and_no_file_is_named(listed, names, missing):
    assert missing_by_name(listed, names) == missing


def test_R22_enough_images_do_not_make_up_for_one_that_is_missing():
    assert not SeriesFacts("1.1", 3, 4, missing_by_name=1).complete


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
