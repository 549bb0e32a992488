"""Which faults are told: when they begin, change and end, and never twice (R31, R38)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.config import Settings
from scanner_mover.errors import ConfigurationError, ExitStatus, UnusableError
from scanner_mover.failures import Detail, Failure, Kind, Level, Service, Title
from scanner_mover.rules.reporting import Stuck
from scanner_mover.transfer.faults import (
    FIND,
    MOVE,
    SCANNER,
    SET_ASIDE,
    Fault,
    Message,
    cut_short,
    fault,
    line_of,
    lost_step,
    no_study,
    stuck_group,
    unusable,
)
from scanner_mover.transfer.reported import (
    Change,
    Past,
    Reported,
    Scope,
    compare,
    duration,
    from_json,
    of_hooks,
    past_from_json,
    shortened,
    to_json,
)

SETTINGS = Settings("ABCD", "config.json", "data", "127.0.0.1", 104, "CONSOLE", "MOVER", 11112)
STUDY, OTHER, SERIES = "1.2.3", "1.2.4", "1.2.3.4"
OFF = Failure(Kind.UNREACHABLE, "Connection refused").about(Service.FIND)
REJECTED = Failure(Kind.REJECTED, "Rejected Permanent").about(Service.FIND)
MOVE_REFUSED = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.MOVE, Level.SERIES)
MOVE_PARTIAL = Failure(Kind.PARTIAL, "Warning: 0xB000").about(Service.MOVE, Level.SERIES)
FIND_BROKEN = Failure(Kind.INTERRUPTED, "broke off").about(Service.FIND, Level.IMAGE)
STUCK = Stuck(STUDY, SERIES, 4, 6)
ALL_TESTED = Scope(requested={STUDY, OTHER})


class Passes:
    """Passes one after the other; what each tells is compared with what was reported before."""

    def __init__(self) -> None:
        self.reported: list[Reported] = []
        self.past: list[Past] = []
        self.now = 1000.0

    def tell(self, *causes: object, scope: Scope = ALL_TESTED, seconds: float = 60) -> list[str]:
        self.now += seconds
        faults = [cause if isinstance(cause, Fault) else fault(cause) for cause in causes]
        reported, past = from_json(to_json(self.reported)), past_from_json(to_json(self.past))
        self.reported, self.past, changes = compare(faults, reported, past, scope, SETTINGS, self.now)
        return [change.text for change in changes]


@pytest.fixture
def passes() -> Passes:
    return Passes()


def test_a_fault_is_told_when_it_begins_and_when_it_ends(passes):
    (line,) = passes.tell(OFF)
    assert line.startswith("scanner CONSOLE at 127.0.0.1:104 cannot be reached (Connection refused): is it on")
    assert passes.tell(OFF) == passes.tell(OFF) == []
    assert passes.tell(seconds=3480) == [
        "recovered after 1 h 0 min: scanner CONSOLE at 127.0.0.1:104 cannot be reached (Connection refused)"
    ]
    assert passes.tell() == [] and passes.reported == []


def test_a_fault_that_becomes_another_one_is_told_as_that_and_lasts_since_the_first(passes):
    passes.tell(OFF)
    (line,) = passes.tell(REJECTED)
    assert "rejects us" in line
    assert [one.content for one in passes.reported] == ["REJECTED"]
    (line,) = passes.tell(seconds=60)
    assert line.startswith("recovered after 2 min: ") and "rejects us" in line


def test_the_same_fault_with_other_words_is_the_same(passes):
    assert passes.tell(Failure(Kind.INTERRUPTED, "it took 13 s").about(Service.FIND))
    assert passes.tell(Failure(Kind.INTERRUPTED, "it took 14 s").about(Service.FIND)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "/server/.pids/.moveFromScanner.work.jk1e_ek6/query4.dump cannot be written: No space left on device",
            "/server/.pids/.moveFromScanner.work.8bfyxcru/query12.dcm cannot be written: No space left on device",
        ),
        (
            "site/rejected cannot be written: No such device; what arrived stays in /s/.moveFromScanner.staging._i08",
            "site/rejected cannot be written: No such device; what arrived stays in /s/.moveFromScanner.staging.wbx",
        ),
    ],
)
def test_the_name_of_a_folder_of_one_pass_makes_no_other_fault(passes, one, other):
    assert passes.tell(unusable(one)) == [one]
    assert passes.tell(unusable(other)) == []


def test_what_else_differs_is_another_fault(passes):
    passes.tell(unusable("the folder /a cannot be written"))
    assert len(passes.tell(unusable("the folder /b cannot be written"))) == 2


def test_two_faults_of_one_text_in_one_pass_are_told_once(passes):
    assert len(passes.tell(OFF, OFF, unusable("no room"), unusable("no room"))) == 2


@pytest.mark.parametrize("level", [Level.SERIES, Level.IMAGE, None])
def test_R30_a_C_MOVE_that_fails_at_another_level_is_the_same_fault(passes, level):
    passes.tell(MOVE_REFUSED)
    assert passes.tell(Failure(Kind.REFUSED, "no").about(Service.MOVE, level)) == []


@pytest.mark.parametrize("kind", [Kind.INTERRUPTED, Kind.STALLED])
def test_an_association_that_breaks_off_at_two_levels_is_one_fault(passes, kind):
    """The level says nothing of the network: two lines of one text help nobody."""
    failures = [Failure(kind, "broke off").about(Service.FIND, level) for level in (Level.SERIES, Level.IMAGE)]
    assert len(passes.tell(*failures)) == 1
    assert passes.tell(failures[1]) == []
    assert len(passes.tell()) == 1


def test_a_C_FIND_that_is_refused_at_another_level_is_another_fault(passes):
    passes.tell(Failure(Kind.REFUSED, "no").about(Service.FIND, Level.IMAGE))
    assert len(passes.tell(Failure(Kind.REFUSED, "no").about(Service.FIND, Level.SERIES))) == 1


def test_two_faults_of_one_line_in_one_pass_are_one_line(passes):
    levels = (Level.SERIES, Level.IMAGE)
    assert len(passes.tell(*(Failure(Kind.REFUSED, "no").about(Service.FIND, level) for level in levels))) == 1
    assert len(passes.reported) == 2


def test_which_title_is_rejected_makes_another_fault(passes):
    def rejected(title: Title | None) -> Failure:
        return Failure(Kind.REJECTED, "no", Detail(Service.FIND, title=title))

    passes.tell(rejected(Title.CALLED))
    assert passes.tell(rejected(Title.CALLED)) == []
    assert len(passes.tell(rejected(Title.CALLING))) == 1


# What a pass could not test


def test_a_C_MOVE_that_waits_for_its_next_attempt_has_not_recovered(passes):
    passes.tell(MOVE_REFUSED)
    waits = ALL_TESTED._replace(untested={MOVE})
    assert passes.tell(scope=waits) == passes.tell(scope=waits) == []
    assert passes.tell(MOVE_REFUSED) == []
    assert len(passes.tell()) == 1


def test_two_series_that_fail_in_turn_are_two_faults_told_once_each(passes):
    """One is asked for in this pass, the other in the next: neither has recovered meanwhile."""
    waits = ALL_TESTED._replace(untested={MOVE})
    assert len(passes.tell(MOVE_REFUSED, MOVE_PARTIAL)) == 2
    for _ in range(3):
        assert passes.tell(MOVE_REFUSED, scope=waits) == []
        assert passes.tell(MOVE_PARTIAL, scope=waits) == []
    assert passes.tell(MOVE_PARTIAL) == [], "the other one is gone, and this one is known"
    assert len(passes.tell()) == 1


def test_a_pass_that_is_cut_short_or_looks_at_one_study_ends_nothing(passes):
    passes.tell(OFF, STUCK, unusable("no room"))
    assert passes.tell(scope=Scope(nothing=True)) == []
    assert len(passes.reported) == 3
    assert len(passes.tell()) == 3


def test_in_such_a_pass_what_has_changed_is_told(passes):
    passes.tell(OFF, MOVE_REFUSED)
    assert len(passes.tell(REJECTED, scope=Scope(nothing=True))) == 1
    assert {one.content for one in passes.reported} == {"REJECTED", "REFUSED"}


def test_a_pass_that_asks_the_scanner_nothing_ends_nothing_of_the_scanner(passes):
    passes.tell(OFF, unusable("no room"))
    assert passes.tell(scope=Scope(no_scanner=True)) == ["recovered after 1 min: no room"]
    assert [one.group for one in passes.reported] == [SCANNER]


def test_with_nothing_requested_nobody_knows_whether_the_scanner_has_recovered(passes):
    passes.tell(OFF, MOVE_REFUSED, unusable("no room"))
    lines = passes.tell(scope=Scope(requested=()))
    assert [line.partition(":")[0] for line in lines] == [
        "not tested any more, nothing is requested",
        "not tested any more, nothing is requested",
        "recovered after 1 min",
    ]


# Faults that come and go

BUSY = Failure(Kind.BUSY, "local limit exceeded").about(Service.FIND)
COMES_AND_GOES = "it comes and goes: the next line follows when it has stayed away for an hour"


def test_a_fault_that_comes_and_goes_is_not_told_in_each_pass(passes):
    lines = [line for _ in range(240) for line in (*passes.tell(BUSY, seconds=15), *passes.tell(seconds=15))]
    assert len(lines) == 5, "three times that it begins, twice that it ends"
    assert [line.startswith("recovered") for line in lines] == [False, True, False, True, False]
    assert lines[4] == f"{lines[0]}; {COMES_AND_GOES}"
    assert [one.text for one in passes.reported] == [lines[4]], "status shows it"
    assert passes.tell(seconds=3500) == [], "not yet for an hour"
    (line,) = passes.tell(seconds=120)
    assert line == f"recovered after 1 h 58 min: {lines[1].partition(': ')[2]}"
    assert passes.reported == []
    assert passes.tell(BUSY) == lines[:1] and passes.past == [], "and from here on it is a new one"


def test_one_that_stays_away_for_an_hour_is_told_each_time(passes):
    for _ in range(5):
        (line,) = passes.tell(BUSY, seconds=3600)
        assert COMES_AND_GOES not in line
        (line,) = passes.tell()
        assert line.startswith("recovered after 1 min")


def test_two_faults_that_take_turns_are_told_three_times_each(passes):
    lines = [line for _ in range(20) for line in (*passes.tell(OFF), *passes.tell(REJECTED))]
    assert len(lines) == 6 and sum(COMES_AND_GOES in line for line in lines) == 2
    assert len(passes.tell(seconds=1000)) == 0
    assert [line.partition(" ")[0] for line in passes.tell(seconds=3600)] == ["recovered"]


def test_what_only_a_C_MOVE_can_test_has_not_recovered_without_one(passes):
    no_room = fault(UnusableError("no room"))._replace(needs_requests=True, needs_retrieve=True)
    passes.tell(no_room, MOVE_REFUSED)
    idle = ALL_TESTED._replace(no_retrieve=True, missing=True)
    assert passes.tell(scope=idle) == [] and len(passes.reported) == 2, "a C-MOVE will show it"
    lines = passes.tell(scope=idle._replace(missing=False))
    assert [line.partition(":")[0] for line in lines] == ["not tested any more, nothing is missing"] * 2
    passes.tell(no_room)
    (line,) = passes.tell()
    assert line.startswith("recovered after")


def test_what_comes_and_goes_ends_only_where_it_was_tested(passes):
    for _ in range(3):
        passes.tell(MOVE_REFUSED)
        passes.tell()
    untested = ALL_TESTED._replace(untested={MOVE})
    assert passes.tell(scope=untested, seconds=7200) == []
    (line,) = passes.tell()
    assert line.startswith("recovered after 1 min")


def test_what_comes_and_goes_of_a_study_that_failed_ends_without_a_word(passes):
    lost = lost_step(STUDY, "/data/scanner")
    for _ in range(3):
        passes.tell(lost)
        passes.tell()
    assert passes.reported
    assert passes.tell(scope=ALL_TESTED._replace(failed={STUDY})) == []
    assert passes.reported == []


def test_a_clock_that_jumps_back_makes_no_fault_last_for_ever(passes):
    for _ in range(3):
        passes.tell(BUSY)
        passes.tell()
    assert passes.tell(seconds=-900) == []
    assert len(passes.tell(seconds=3600)) == 1


# Faults of one study


def test_R31_a_stuck_series_is_told_once_until_more_or_less_is_here(passes):
    (line,) = passes.tell(STUCK)
    assert "4 of 6" in line
    assert passes.tell(STUCK) == []
    assert len(passes.tell(STUCK.__class__(STUDY, SERIES, 5, 6))) == 1
    (line,) = passes.tell()
    assert line.startswith("recovered after 3 min: series 1.2.3.4 of study 1.2.3 is stuck at 5 of 6 images: ")
    assert line.endswith("C-MOVE says Success"), "without the advice"


@pytest.mark.parametrize("cause", [STUCK, cut_short(STUDY, "cut"), no_study(STUDY)])
@pytest.mark.parametrize("scope", [Scope(requested={OTHER}), Scope(requested=()), ALL_TESTED._replace(failed={STUDY})])
def test_R38_no_line_says_that_all_is_well_with_a_study_that_failed_or_is_not_requested_any_more(passes, cause, scope):
    passes.tell(cause)
    assert passes.tell(scope=scope) == [] and passes.reported == []


def test_R34_R38_what_ends_because_nobody_asks_any_more_has_not_recovered(passes):
    find = Failure(Kind.OUT_OF_RESOURCES, "Refused").about(Service.FIND, Level.IMAGE)
    move = Failure(Kind.OUT_OF_RESOURCES, "Refused").about(Service.MOVE, Level.SERIES)
    passes.tell(find, move)
    assert passes.tell(scope=ALL_TESTED._replace(dropped={FIND, MOVE}, untested={FIND})) == []
    assert [one.group for one in passes.reported] == [FIND], "what still waits for its next try holds"
    (line,) = passes.tell()
    assert line.startswith("recovered")


def test_R34_another_level_recovers_while_the_lists_are_cut(passes):
    passes.tell(Failure(Kind.OUT_OF_RESOURCES, "Refused").about(Service.FIND, Level.IMAGE))
    passes.tell(Failure(Kind.OUT_OF_RESOURCES, "Refused").about(Service.FIND, Level.SERIES))
    cut = ALL_TESTED._replace(dropped={f"{FIND} IMAGE"})
    (line,) = passes.tell(scope=cut)
    assert line.startswith("recovered") and passes.reported == []


@pytest.mark.parametrize(("is_named", "holds"), [(True, True), (False, False)])
def test_a_program_that_the_configuration_no_longer_names_is_no_fault(is_named, holds):
    reported, _ = of_hooks([], {"on_fault": "on_fault: /opt/x: exit status 3"}, (), 1000.0)
    settings = SETTINGS._replace(on_fault=("/opt/x",) if is_named else None)
    kept, _, changes = compare([], reported, [], ALL_TESTED, settings, 1060.0)
    assert (bool(kept), changes) == (holds, [])


def test_a_study_that_the_scanner_does_not_have_is_about_one_call(passes):
    passes.tell(no_study(STUDY), scope=Scope(nothing=True))
    assert passes.tell() == [] and passes.reported == []


def test_R35_a_study_whose_questions_wait_is_still_cut_short(passes):
    assert passes.tell(cut_short(STUDY, "study 1.2.3: 4 series, but lists 2: it is not closed; limited?"))
    waits = ALL_TESTED._replace(untested={f"cut-short {STUDY}"})
    assert passes.tell(scope=waits) == []
    assert passes.tell() == ["recovered after 2 min: study 1.2.3: 4 series, but lists 2: it is not closed"]


# Lines, groups, numbers


@pytest.mark.parametrize(
    ("cause", "group", "exit_status"),
    [
        (OFF, SCANNER, ExitStatus.SCANNER),
        (Failure(Kind.UNREACHABLE, "no").about(Service.MOVE), SCANNER, ExitStatus.SCANNER),
        (MOVE_REFUSED, MOVE, ExitStatus.SCANNER),
        (FIND_BROKEN, FIND, ExitStatus.SCANNER),
        (Failure(Kind.REFUSED, "no"), SCANNER, ExitStatus.SCANNER),
        (STUCK, stuck_group(STUDY, SERIES), ExitStatus.SCANNER),
        (Message(SET_ASIDE, "text"), SET_ASIDE, ExitStatus.SCANNER),
        (UnusableError("no room"), "no room", ExitStatus.UNUSABLE),
        (ConfigurationError("no key"), "no key", ExitStatus.CONFIGURATION),
    ],
)
def test_what_belongs_together(cause, group, exit_status):
    made = fault(cause)
    assert (made.group, made.exit_status) == (group, exit_status)
    assert line_of(made, SETTINGS)


def test_the_line_of_a_stuck_series_names_our_title_and_where_images_go():
    empty = fault(Stuck(STUDY, SERIES, 0, 6))
    assert "is MOVER registered" in line_of(empty, SETTINGS)
    assert "the port of the program that receives" in line_of(empty, SETTINGS)
    assert "port 11112" in line_of(empty, SETTINGS._replace(receive=True))


def test_of_many_at_once_the_first_are_told_and_how_many_more_there_are():
    began = [Change(f"fault {number}", ended=False) for number in range(8)]
    ended = [Change(f"recovered {number}", ended=True) for number in range(7)]
    lines = shortened([*ended, *began])
    assert [one.text for one in lines] == [
        *(f"fault {number}" for number in range(5)),
        "and 3 more: see `scanner-mover status` and the log",
        *(f"recovered {number}" for number in range(5)),
        "and 2 more have recovered: see `scanner-mover status` and the log",
    ]
    assert [one.ended for one in lines] == [False] * 6 + [True] * 6
    assert shortened(began[:5]) == began[:5]
    assert shortened(ended[:6])[-1].text.startswith("and 1 more has recovered: ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


# The state file


GOOD = {
    "group": "scanner",
    "content": "UNREACHABLE",
    "text": "off",
    "since": 12.5,
    "needs_requests": True,
    "needs_retrieve": False,
    "exit_status": 5,
}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "text",
        7,
        [None, 7, "text", []],
        [{}],
        [{**GOOD, "group": None}],
        [{**GOOD, "content": 7}],
        [{**GOOD, "text": ["x"]}],
        [{**GOOD, "since": "yesterday"}],
        [{**GOOD, "since": -1}],
        [{**GOOD, "since": 1e13}],
        [{**GOOD, "since": float("nan")}],
    ],
)
def test_what_is_damaged_in_the_state_is_left_out(value):
    assert from_json(value) == []
    assert from_json([*value, GOOD] if isinstance(value, list) else [GOOD]) == [Reported(*GOOD.values())]


@pytest.mark.parametrize("exit_status", ["4", -1, 256, True, None])
def test_a_damaged_exit_status_is_none(exit_status):
    (one,) = from_json([{**GOOD, "exit_status": exit_status}])
    assert one.exit_status == ExitStatus.OK


@pytest.mark.parametrize("away", ["now", -1, True, 1e13, [], None])
@pytest.mark.parametrize("times", ["3", 0, 4, 10**30, 2.5, None])
def test_damaged_numbers_of_what_comes_and_goes_are_none(away, times):
    (one,) = from_json([{**GOOD, "times": times, "away_since": away}])
    assert (one.times, one.away_since) == (1, None)


@pytest.mark.parametrize("value", [None, {}, 7, [None, 7, []], [{}], [{"group": "a", "content": "b", "ended_at": "x"}]])
def test_what_is_damaged_of_what_was_is_left_out(value):
    assert past_from_json(value) == []


def test_whatever_is_reported_the_state_does_not_grow_without_end(passes):
    passes.tell(*(unusable(f"fault {number}") for number in range(5000)))
    assert len(passes.reported) == 1000
    passes.tell()
    assert len(passes.past) == 1000


causes = st.sampled_from([OFF, REJECTED, MOVE_REFUSED, MOVE_PARTIAL, FIND_BROKEN, STUCK, UnusableError("no room")])
scopes = st.sampled_from(
    [ALL_TESTED, Scope(nothing=True), Scope(no_scanner=True), ALL_TESTED._replace(untested={MOVE, FIND})]
)


@given(st.lists(st.tuples(st.lists(causes, max_size=4), scopes), max_size=12))
def test_each_fault_is_told_once_between_its_beginning_and_its_end(history):
    passes = Passes()
    reported: set[str] = set()
    for found, scope in history:
        lines = passes.tell(*found, scope=scope)
        begun = [line for line in lines if not line.startswith(("recovered", "not tested"))]
        assert not reported & set(begun), "what holds is not told again"
        reported = {one.text for one in passes.reported}
        whole = {line.removesuffix(f"; {COMES_AND_GOES}") for line in reported}
        assert {line_of(fault(cause), SETTINGS) for cause in found} <= whole
        assert set(begun) <= reported


def test_R31_a_series_that_is_stuck_is_told_once_though_it_grows(passes):
    assert len(passes.tell(Stuck(STUDY, SERIES, 0, 6))) == 1
    assert passes.tell(Stuck(STUDY, SERIES, 0, 7)) == []


def test_what_a_call_by_hand_finished_has_recovered_and_nothing_else(passes):
    passes.tell(STUCK, OFF)
    (line,) = passes.tell(scope=Scope(nothing=True, requested={STUDY}, finished={STUDY}))
    assert line.startswith("recovered") and STUDY in line
    assert [one.group for one in passes.reported] == [SCANNER]
