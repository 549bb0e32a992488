"""What a pass prints, logs and sends to the site's programs, of what is new, what holds, and what ended (R9, R38)."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.arguments import MoveOptions
from scanner_mover.errors import ExitStatus, UnusableError
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.site.folders import ServerFolders
from scanner_mover.site.state import State
from scanner_mover.transfer.faults import SCANNER, cut_short, fault, no_study
from scanner_mover.transfer.frame import Frame, Place, View
from scanner_mover.transfer.hooks import Event, EventKind
from scanner_mover.transfer.lines import Lines, of_pass, with_problem
from scanner_mover.transfer.report import ClosedRequest, PassReport
from scanner_mover.transfer.reported import Change
from scanner_mover.transfer.work import Work
from tests.unit.transfer.made import SETTINGS, STUDY

OFF = Failure(Kind.UNREACHABLE, "Connection refused").about(Service.FIND)
FULL = UnusableError("the disk is full")
OTHER = "1.2.3"
ALL = SETTINGS._replace(on_finished=("a",), on_failed=("b",), on_fault=("c",))
FINISHED = ClosedRequest(OTHER, True, None, (), "raw")
INCOMPLETE = ClosedRequest(OTHER, True, "2 of 6 images are gone", (), "raw")
FAILED = ClosedRequest(STUDY, False, "no images", (), "")
FAILED_TEXT = f"study {STUDY} failed: no images; no image of it is here"
INCOMPLETE_TEXT = f"study {OTHER} is incomplete: 2 of 6 images are gone"
REPORT = PassReport("ABCD", "", 0.0, True, False, ())
TESTED = Work(REPORT, requested=frozenset({STUDY}), sent=True)


class Site:
    """Passes at one site; its state goes from each to the next. `log` has what the last one logged."""

    def __init__(self, root: Path) -> None:
        self.server = ServerFolders(str(root), "ABCD")
        self.state = State()
        self.log: list[str] = []

    def frame(self, *causes: Any, closed: Iterable[ClosedRequest] = (), **options: Any) -> Frame:
        frame = Frame(MoveOptions(**options), Place("ABCD", self.server), View())
        frame.state = self.state
        frame.faults = [fault(cause) for cause in causes]
        frame.closed = list(closed)
        self.log = []
        frame.log.echo = self.log.append
        return frame

    def told(self, *causes: Any, work: Work = TESTED, settings: Any = ALL, raised: Any = None, **more: Any) -> Lines:
        return of_pass(self.frame(*causes, **more), settings, work, raised)

    @property
    def kept(self) -> list[str]:
        """What the state says is wrong."""
        return [one["text"] for one in self.state.faults]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def begun(found: Lines) -> list[str]:
    return [change.text for change in found.new if not change.ended]


def ended(found: Lines) -> list[str]:
    return [change.text for change in found.new if change.ended]


def kinds(found: Lines) -> list[EventKind]:
    return [one.kind for one in found.events]


# Faults


def test_a_pass_without_faults_has_nothing_to_say(site):
    assert site.told() == Lines() and site.log == [] and site.state.faults == []


def test_a_fault_is_new_once_then_it_stands_and_its_end_is_told(site):
    first = site.told(FULL)
    assert first.new == (Change("the disk is full", ended=False),) and first.standing == first.again == ()
    assert site.log == site.kept == ["the disk is full"] and kinds(first) == [EventKind.FAULT]
    second = site.told(FULL)
    assert second.new == second.events == () and second.standing == second.again == ("the disk is full",)
    assert site.log == [] and site.kept == ["the disk is full"]
    third = site.told()
    assert begun(third) == [] and [line.partition(" after ")[0] for line in ended(third)] == ["recovered"]
    assert third.standing == () and site.kept == [] and site.log == ended(third)
    assert kinds(third) == [EventKind.RECOVERED] and [one["content"] for one in site.state.past_faults] == [str(FULL)]


def test_what_could_not_be_tested_stands_without_being_met_again_and_waits_with_its_exit_status(site):
    site.told(OFF)
    waits = site.told(work=TESTED._replace(untested=frozenset({SCANNER})))
    assert len(waits.standing) == 1 and waits.again == waits.new == () and waits.waiting == (ExitStatus.SCANNER,)
    assert site.told(OFF).waiting == (), "it is met again"


def test_by_hand_nothing_waits(site):
    site.told(OFF)
    found = site.told(studies=(STUDY,), work=TESTED._replace(untested=frozenset({SCANNER})))
    assert len(found.standing) == 1 and found.waiting == ()


@pytest.mark.parametrize(
    "more",
    [
        {"raised": KeyError("x")},
        {"settings": None},
        {"studies": (STUDY,)},
        {"work": TESTED._replace(untested=frozenset({SCANNER}))},
        {"work": Work()},
        {"work": Work(REPORT._replace(enabled=False))},
    ],
)
def test_what_a_pass_did_not_test_has_not_recovered(site, more):
    site.told(OFF)
    before = site.kept
    found = site.told(**more)
    assert found.new == () and site.kept == list(found.standing) == before


def test_a_disk_has_recovered_though_the_scanner_was_not_asked(site):
    site.told(FULL, OFF)
    found = site.told(work=Work(REPORT._replace(enabled=False)))
    assert len(ended(found)) == 1 and "the disk is full" in ended(found)[0]
    assert len(site.kept) == 1 and "the disk is full" not in site.kept


def test_R38_what_is_wrong_with_a_study_ends_with_its_request_without_a_word(site):
    site.told(cut_short(STUDY, "it is cut short"))
    still = site.told(cut_short(STUDY, "it is cut short"))
    assert still.standing == ("it is cut short",)
    gone = site.told(work=TESTED._replace(requested=frozenset({OTHER})))
    assert gone.new == gone.standing == () and site.kept == []


@pytest.mark.parametrize(
    ("closed", "told"), [(FAILED, [FAILED_TEXT]), (FAILED._replace(finished=True, reason=None), [])]
)
def test_R38_of_a_study_that_failed_nothing_has_recovered_of_one_that_is_finished_it_has(site, closed, told):
    site.told(cut_short(STUDY, "it is cut short"))
    found = site.told(closed=[closed])
    assert [one.text for one in found.closed] == told
    assert len(ended(found)) == (0 if told else 1) and site.kept == []


def test_a_dry_run_says_what_is_wrong_and_not_what_ended(site):
    site.told(FULL)
    found = site.told(UnusableError("another"), dry_run=True)
    assert begun(found) == ["another"] and ended(found) == []


@pytest.mark.parametrize("requested", [False, True])
def test_what_is_met_with_a_study_that_nobody_requests_is_said_and_not_remembered(site, requested):
    """No pass of cron would find that it has ended."""
    site.told(FULL)
    work = TESTED._replace(requested=frozenset({STUDY} if requested else ()))
    found = site.told(FULL, OFF, no_study(OTHER), studies=(OTHER,), work=work)
    assert len(begun(found)) == 2 and found.again == (str(FULL),)
    assert site.kept == [str(FULL), *(begun(found) if requested else [])]


def test_of_many_faults_people_read_some_and_the_log_has_all(site):
    found = site.told(*(UnusableError(f"fault {number}") for number in range(9)))
    assert len(begun(found)) < 9 and "and 4 more" in begun(found)[-1]
    assert site.log == [f"fault {number}" for number in range(9)] and found.standing == ()


# What was not said


def test_lines_that_earlier_passes_could_not_write_come_first_and_once(site):
    site.state.unsaid = ["an earlier line"]
    found = site.told(FULL)
    assert begun(found) == ["an earlier line", "the disk is full"] and kinds(found) == [EventKind.FAULT]
    assert site.state.unsaid == [] and site.log == ["the disk is full"]


# Requests that were closed


def test_a_request_that_failed_or_lacks_images_is_said_and_one_that_is_finished_is_not(site):
    found = site.told(closed=[FINISHED, INCOMPLETE, FAILED])
    assert [one.text for one in found.closed] == site.log == [INCOMPLETE_TEXT, FAILED_TEXT]
    assert not any(one.ended for one in found.closed) and found.new == ()
    assert kinds(found) == [EventKind.FINISHED, EventKind.FINISHED, EventKind.FAILED]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (None, []),
        (SETTINGS, []),
        (SETTINGS._replace(on_failed=("x",)), [EventKind.FAILED]),
        (SETTINGS._replace(on_fault=("x",)), [EventKind.FAULT]),
        (ALL, [EventKind.FINISHED, EventKind.FAILED, EventKind.FAULT]),
    ],
)
def test_events_are_those_for_which_the_site_has_a_program(site, settings, expected):
    assert kinds(site.told(FULL, closed=[FINISHED, FAILED], settings=settings)) == expected


# A state file that cannot be written

NO_STATE = UnusableError("the state file cannot be written")
TELLS = Lines(
    new=(Change("new", ended=False),),
    closed=(Change("failed", ended=False),),
    events=tuple(Event(kind, "ABCD", None, "x", "") for kind in EventKind),
)


def with_file(site: Site, *times: float) -> None:
    path = Path(site.server.state)
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    if times:
        os.utime(path, times)


def test_it_is_said_once_an_hour_and_until_then_only_what_was_closed(site):
    with_file(site)
    first = with_problem(TELLS, site.frame(), NO_STATE)
    assert first == TELLS._replace(new=(*TELLS.new, Change(str(NO_STATE), ended=False)))
    second = with_problem(TELLS, site.frame(), NO_STATE)
    assert second == TELLS._replace(new=(), events=second.events)
    assert set(kinds(second)) == {EventKind.FINISHED, EventKind.FAILED}
    os.utime(site.server.state, (time.time() - 3601, 0))
    assert with_problem(TELLS, site.frame(), NO_STATE) == first


@pytest.mark.parametrize("options", [{"dry_run": True}, {"studies": (STUDY,)}])
def test_by_hand_it_is_said_each_time_and_not_noted(site, options):
    with_file(site, 1.0, 2.0)
    for _ in range(2):
        assert begun(with_problem(TELLS, site.frame(**options), NO_STATE)) == ["new", str(NO_STATE)]
    assert os.stat(site.server.state).st_mtime == 2.0


def test_a_fault_of_the_pass_that_says_so_already_is_enough(site):
    with_file(site)
    assert with_problem(TELLS, site.frame(NO_STATE), NO_STATE) == TELLS
    assert begun(with_problem(TELLS, site.frame(FULL, dry_run=True), NO_STATE)) == ["new", str(NO_STATE)]
