"""When and how a series is asked for (R18, R29, R30), and the questions that are asked again (R44), as tables."""

import pytest

from scanner_mover.failures import Failure, Kind
from scanner_mover.moment import Moment
from scanner_mover.rules import asking
from scanner_mover.rules.records import Asked, Attempt, Listing, SeriesMemory, Silence
from scanner_mover.rules.retrieving import (
    How,
    NotNow,
    PassLimits,
    Pauses,
    after_attempt,
    basis,
    due_in,
    ends_the_pass,
    how,
    is_worth_another_try,
    judge,
    limits_after,
    needs_list,
    pause_seconds,
    silence_after,
    silence_pause,
    why_not_now,
)

BOOT, OTHER_BOOT = "one boot", "another boot"
NOW = Moment(BOOT, 100_000)
PAUSES = Pauses(120, 3600)
FAILED = Failure(Kind.REFUSED, "Failed: UnableToProcess")
LISTED = Listing(succeeded=True, listed=6, answers=6, missing=1, digest="a")


def ago(seconds: float, boot: str = BOOT) -> Moment:
    return Moment(boot, NOW.seconds - seconds)


def attempted(at: Moment, *, succeeded: bool = True, by_name: bool = False, before: int = 0, **more) -> SeriesMemory:
    return SeriesMemory(attempt=Attempt(at, succeeded, by_name, before, "6:"), largest=before, **more)


# R18, R29: the waits


@pytest.mark.parametrize(
    ("fruitless", "succeeded", "seconds"),
    [
        (0, True, 120),
        (0, False, 0),
        (1, True, 120),
        (1, False, 0),
        (2, True, 120),
        (2, False, 120),
        (3, False, 240),
        (4, True, 480),
        (7, True, 3600),
        (1000, False, 3600),
    ],
)
def test_R29_the_waits_grow_to_an_hour(fruitless, succeeded, seconds):
    assert pause_seconds(fruitless, PAUSES, succeeded=succeeded) == seconds


def test_R29_the_shortest_long_wait_is_a_minute():
    assert pause_seconds(2, Pauses(0, 3600), succeeded=True) == 60
    assert pause_seconds(2, Pauses(7200, 3600), succeeded=True) == 7200


@pytest.mark.parametrize(
    ("memory", "here", "why"),
    [
        (SeriesMemory(), 0, None),
        (attempted(ago(0)), 0, NotNow.ON_THEIR_WAY),
        (attempted(ago(119.9)), 0, NotNow.ON_THEIR_WAY),
        (attempted(ago(120)), 0, None),
        (attempted(ago(500)), 3, NotNow.ON_THEIR_WAY),
        (attempted(ago(500), received=3), 3, None),
        (attempted(ago(0), succeeded=False), 0, None),
        (attempted(ago(15), succeeded=False, fruitless=1), 0, NotNow.PAUSE),
        (attempted(ago(120), succeeded=False, fruitless=1), 0, None),
        (attempted(ago(150), fruitless=2), 0, NotNow.PAUSE),
        (attempted(ago(240), fruitless=2), 0, None),
        (attempted(ago(1, OTHER_BOOT), fruitless=5), 0, None),
        (attempted(ago(-5)), 0, None),
    ],
)
def test_R18_R29_when_an_incomplete_series_is_asked_for_again(memory, here, why):
    assert why_not_now(memory, here, "6:", NOW, PAUSES, by_hand=False) is why


def test_R29_another_count_or_list_allows_one_attempt_at_once():
    memory = attempted(ago(1), succeeded=False, fruitless=5)
    assert why_not_now(memory, 0, "6:", NOW, PAUSES, by_hand=False) is NotNow.PAUSE
    assert why_not_now(memory, 0, "7:", NOW, PAUSES, by_hand=False) is None
    again = after_attempt(memory, at=NOW, by_name=False, basis="7:", before=0, failure=FAILED)
    assert why_not_now(again, 0, "7:", NOW, PAUSES, by_hand=False) is NotNow.PAUSE
    assert basis(6, None) != basis(7, None) != basis(7, LISTED)


def test_R29_a_series_that_grows_all_day_while_nothing_arrives_is_asked_for_as_rarely():
    for failure in (None, FAILED):
        memory, sent = SeriesMemory(), 0
        for seconds in range(0, 86400, 15):
            now = Moment(BOOT, float(seconds))
            memory = judge(memory, 0, now, PAUSES)
            if why_not_now(memory, 0, f"{seconds}:", now, PAUSES, by_hand=False) is None:
                memory = judge(memory, 0, now, PAUSES, next_is_made=True)
                memory = after_attempt(memory, at=now, by_name=False, basis=f"{seconds}:", before=0, failure=failure)
                sent += 1
        assert 20 <= sent <= 35


def test_R29_a_series_that_grows_while_images_arrive_is_asked_for_at_once_each_time():
    memory = attempted(ago(1), fruitless=1)
    memory = after_attempt(memory, at=ago(1), by_name=True, basis="7:", before=0, failure=None)
    assert why_not_now(memory, 0, "8:", NOW, PAUSES, by_hand=False) is not None
    memory = judge(memory, 7, NOW, PAUSES)._replace(received=7)
    assert why_not_now(memory, 7, "8:", NOW, PAUSES, by_hand=False) is None


def test_R29_by_hand_nothing_waits_but_for_images_that_arrive():
    memory = attempted(ago(1), succeeded=True, fruitless=5)
    assert why_not_now(memory, 0, "6:", NOW, PAUSES, by_hand=True) is None
    assert why_not_now(memory, 3, "6:", NOW, PAUSES, by_hand=True) is NotNow.ON_THEIR_WAY


def test_R29_an_attempt_is_fruitless_when_the_next_is_due_and_nothing_new_is_here():
    memory = attempted(ago(60), before=2)
    assert judge(memory, 2, NOW, PAUSES).fruitless == 0, "its images may still arrive"
    memory = attempted(ago(120), before=2)
    judged = judge(memory, 2, NOW, PAUSES)
    assert judged.fruitless == 1
    assert judge(judged, 2, NOW, PAUSES).fruitless == 1, "each attempt counts once"
    assert judge(attempted(ago(120), before=5), 2, NOW, PAUSES).fruitless == 1, "what came back was here before"


def test_R29_an_attempt_that_is_followed_at_once_is_judged_too():
    memory = attempted(ago(1), before=2)
    assert judge(memory, 2, NOW, PAUSES).fruitless == 0
    assert judge(memory, 2, NOW, PAUSES, next_is_made=True).fruitless == 1
    assert judge(memory, 3, NOW, PAUSES, next_is_made=True).fruitless == 0


def test_R29_only_something_new_here_starts_the_count_anew():
    memory = attempted(ago(5), succeeded=False, before=2, fruitless=4, names_fruitless=2, by_name=True)
    judged = judge(memory, 3, NOW, PAUSES)
    assert (judged.fruitless, judged.names_fruitless, judged.names_helped, judged.largest) == (0, 0, True, 3)


def test_R29_attempts_of_a_day():
    """A series of which nothing comes, asked every 15 seconds for a day: at most 35 C-MOVEs."""
    for failure in (None, FAILED):
        memory, sent = SeriesMemory(), 0
        for seconds in range(0, 86400, 15):
            now = Moment(BOOT, float(seconds))
            memory = judge(memory, 0, now, PAUSES)
            if why_not_now(memory, 0, "6:", now, PAUSES, by_hand=False) is None:
                memory = after_attempt(memory, at=now, by_name=False, basis="6:", before=0, failure=failure)
                sent += 1
        assert 20 <= sent <= 35


def test_R29_due_in_tells_when_the_next_attempt_is_made():
    assert due_in(SeriesMemory(), 0, NOW, PAUSES) == 0
    assert due_in(attempted(ago(100), fruitless=2), 0, NOW, PAUSES) == 140


# R29: the scanner as a whole


def fruitless(at: Moment, *, largest: int = 0, number: int = 1) -> SeriesMemory:
    return SeriesMemory(attempt=Attempt(at, True, False, largest, "6:", judged=True), largest=largest, fruitless=number)


def test_R29_three_series_in_a_row_that_brought_nothing_make_the_scanner_sick():
    three = [fruitless(ago(300)), fruitless(ago(200)), fruitless(ago(100))]
    found = silence_after(None, three, BOOT)
    assert found == Silence(2, ago(100))
    assert silence_after(None, three[:2], BOOT) is None
    assert silence_after(None, [*three[:2], fruitless(ago(100), largest=3)], BOOT) is None, "one of them has images"
    open_ones = [one._replace(attempt=Attempt(ago(10), True, False, 0, "6:"), fruitless=0) for one in three]
    assert silence_after(None, open_ones, BOOT) is None, "their images may still be on their way"
    healthy = SeriesMemory(attempt=Attempt(ago(50), True, False, 0, "6:", judged=True), largest=6)
    assert silence_after(found, [*three, healthy], BOOT) is None, "the last one brought images"


def test_R29_attempts_before_the_machine_was_started_anew_are_earlier_ones():
    """However long it ran before: the clock begins at 0 with each start."""
    old = [fruitless(Moment(OTHER_BOOT, NOW.seconds + number)) for number in (1e6, 2e6, 3e6)]
    silence = Silence(5, ago(10))
    assert silence_after(silence, [*old, fruitless(ago(10))], BOOT) == silence, "so its pause holds"
    healthy = SeriesMemory(attempt=Attempt(ago(5), True, False, 0, "6:", judged=True), largest=6)
    assert silence_after(silence, [*old, healthy], BOOT) is None


def test_R29_a_sick_scanner_gets_one_attempt_for_each_pause():
    silence = Silence(2, ago(100))
    assert silence_pause(None, NOW, PAUSES) == 0
    assert silence_pause(silence, NOW, PAUSES) == 20
    three = [fruitless(ago(300)), fruitless(ago(200)), fruitless(ago(100))]
    assert silence_after(silence, three, BOOT) == silence, "no attempt since then"
    assert silence_after(silence, [*three, fruitless(ago(1))], BOOT) == Silence(3, ago(1))
    assert silence_after(Silence(3, ago(1)), three, BOOT) == Silence(3, ago(1)), "the last attempt is not judged yet"
    assert silence_after(silence, three[:1], BOOT) == silence_after(silence, [], BOOT) == silence, (
        "requests that are gone are no recovery"
    )


# R30


@pytest.mark.parametrize(
    ("memory", "names", "listed", "by_hand", "expected"),
    [
        (SeriesMemory(), [], None, False, How.WHOLE),
        (SeriesMemory(), ["1.1"], None, False, How.BY_NAME),
        (SeriesMemory(), ["IM1"], None, False, How.WHOLE),
        (attempted(ago(200)), ["1.1"], LISTED, False, How.BY_NAME),
        (attempted(ago(200), succeeded=False), [], LISTED, False, How.BY_NAME),
        (attempted(ago(200), names_refused=True), ["1.1"], LISTED, False, How.WHOLE),
        (attempted(ago(200), names_fruitless=1), [], LISTED, False, How.BY_NAME),
        (attempted(ago(200), names_fruitless=2), [], LISTED, False, How.WHOLE),
        (attempted(ago(200), names_fruitless=2, names_helped=True), [], LISTED, False, How.BY_NAME),
        (attempted(ago(200), names_fruitless=9), ["1.1"], LISTED, False, How.BY_NAME),
        (attempted(ago(200), names_fruitless=9), ["1.1"], LISTED, True, How.WHOLE),
        (attempted(ago(200)), ["1.1"], Listing(succeeded=False, refused=True), False, How.WHOLE),
        (attempted(ago(200)), ["1.1"], Listing(succeeded=True), False, How.WHOLE),
        (attempted(ago(200)), ["1.1"], LISTED._replace(missing=0), False, How.BY_NAME),
        (attempted(ago(200)), ["1.1"], LISTED._replace(succeeded=False, cut_in_a_row=1), False, How.BY_NAME),
    ],
)
def test_R30_what_is_here_is_not_asked_for_again(memory, names, listed, by_hand, expected):
    assert how(memory, names, listed, by_hand=by_hand) is expected


def test_R30_a_series_is_listed_before_it_is_asked_for_a_second_time():
    assert not needs_list(SeriesMemory(), [], by_hand=False)
    assert needs_list(attempted(ago(200)), [], by_hand=False)
    assert needs_list(SeriesMemory(), ["1.1"], by_hand=False)


def test_R30_a_refused_attempt_by_name_is_remembered():
    memory = after_attempt(SeriesMemory(), at=NOW, by_name=True, basis="6:", before=1, failure=FAILED)
    assert memory.names_refused
    stalled = Failure(Kind.STALLED, "no progress")
    assert not after_attempt(SeriesMemory(), at=NOW, by_name=True, basis="6:", before=1, failure=stalled).names_refused
    assert not after_attempt(SeriesMemory(), at=NOW, by_name=False, basis="6:", before=1, failure=FAILED).names_refused


# What one pass has shown so far


@pytest.mark.parametrize(
    ("kind", "again", "ends"),
    [
        (Kind.UNREACHABLE, True, True),
        (Kind.HUNG_UP, True, True),
        (Kind.BUSY, True, False),
        (Kind.REJECTED, False, True),
        (Kind.INSECURE, False, True),
        (Kind.UNSUPPORTED, False, True),
        (Kind.INTERRUPTED, True, False),
        (Kind.KILLED, True, False),
        (Kind.STALLED, False, False),
        (Kind.LIMIT, False, False),
        (Kind.CANCELLED, False, False),
        (Kind.OUT_OF_RESOURCES, True, False),
        (Kind.PARTIAL, False, False),
        (Kind.UNKNOWN_DESTINATION, False, True),
        (Kind.REFUSED, False, False),
    ],
)
def test_R17_which_failures_are_worth_another_try_and_which_end_the_pass(kind, again, ends):
    failure = Failure(kind, "text")
    assert is_worth_another_try(failure) is again
    assert ends_the_pass(failure) is ends
    assert limits_after(PassLimits(2), failure, sent=True).retries == (0 if again else 2)
    assert (limits_after(PassLimits(2), failure, sent=True).ended_by is failure) is ends


def test_R17_no_failure_is_worth_no_other_try():
    assert not is_worth_another_try(None)


def test_R29_two_stalls_in_a_row_end_the_retrieving_of_a_pass():
    stalled = Failure(Kind.STALLED, "no progress")
    once = limits_after(PassLimits(2), stalled, sent=True)
    assert once.ended_by is None
    well = limits_after(once, None, sent=True)
    assert limits_after(well, stalled, sent=True).ended_by is None, "one that went well lies between"
    assert limits_after(once, stalled, sent=True).ended_by is stalled


def test_R29_two_that_did_not_come_to_a_C_MOVE_end_it_too():
    """Such an attempt has no pauses: without an end each series would cost an association in each pass."""
    broken = Failure(Kind.INTERRUPTED, "it broke off")
    once = limits_after(PassLimits(2), broken, sent=False)
    assert once.ended_by is None
    assert limits_after(once, broken, sent=False).ended_by is broken
    assert limits_after(once, broken, sent=True).ended_by is None


# R25: the order


# R44


@pytest.mark.parametrize(
    ("asked", "counted", "due"),
    [
        (None, True, True),
        (Asked(ago(59), "b"), True, False),
        (Asked(ago(60), "b"), True, True),
        (Asked(ago(1), "other"), True, True),
        (Asked(ago(119), "b", 1), True, False),
        (Asked(ago(120), "b", 1), True, True),
        (Asked(ago(3599), "b", 50), True, False),
        (Asked(ago(3600), "b", 50), True, True),
        (Asked(ago(1), "b", 0), False, True),
        (Asked(ago(59), "b", 1), False, False),
        (Asked(ago(60), "b", 7), False, True),
        (Asked(ago(1, OTHER_BOOT), "b", 9), True, True),
    ],
)
def test_R44_a_question_that_changed_nothing_is_asked_more_and_more_rarely(asked, counted, due):
    assert asking.is_due(asked, "b", NOW, counted=counted) is due


def test_R44_a_change_starts_the_waits_anew():
    first = asking.after_asking(None, "b", ago(60), changed=True)
    second = asking.after_asking(first, "b", NOW, changed=False)
    assert (first.repeats, second.repeats) == (0, 1)
    assert asking.after_asking(second, "b", NOW, changed=True).repeats == 0
    assert asking.after_asking(second, "other", NOW, changed=False).repeats == 0
