"""The scanner as a whole (R29), and which faults a pass could not test: what it did not test has not recovered."""

import pytest

from scanner_mover import clock
from scanner_mover.moment import Moment
from scanner_mover.rules.records import Attempt, Listing, SeriesMemory, StudyMemory
from scanner_mover.transfer import health
from scanner_mover.transfer.faults import FIND, MOVE, SET_ASIDE, cut_short_group, stuck_group, unusable
from scanner_mover.transfer.job import Findings
from tests.unit.transfer.made import NOW, SERIES, STUDY, ago, have, make_job, uids

FAILED = Attempt(NOW, False, False, 0, "6:", judged=True, error="Failed: UnableToProcess")
SUCCEEDED = FAILED._replace(succeeded=True, error=None)
STUCK = stuck_group(STUDY, SERIES)
NO_ROOM = "less than 7 bytes are free"
CUT = Listing(succeeded=False, listed=2, cut_in_a_row=1)


@pytest.fixture(autouse=True)
def at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


def untested(series: SeriesMemory, *, attempted: bool = False, asked: bool = False, obstacle: str = "") -> set[str]:
    findings = Findings({STUDY: StudyMemory(series={SERIES: series}, obstacle=obstacle)})
    if attempted:
        findings.attempted.add((STUDY, SERIES))
    if asked:
        findings.asked.add(STUDY)
    health.note_untested(findings, ["MR"])
    return findings.untested


@pytest.mark.parametrize(
    ("series", "groups"),
    [
        (SeriesMemory(), set()),
        (SeriesMemory(attempt=FAILED, complete=True), set()),
        (SeriesMemory(attempt=FAILED, modality="OT"), set()),
        (SeriesMemory(attempt=FAILED), {MOVE, SET_ASIDE, unusable(FAILED.error or "").group}),
        (SeriesMemory(attempt=FAILED, retrieved=True), {MOVE, SET_ASIDE, unusable(FAILED.error or "").group}),
        (SeriesMemory(attempt=FAILED._replace(error=NO_ROOM)), {MOVE, SET_ASIDE, unusable(NO_ROOM).group}),
        (SeriesMemory(attempt=SUCCEEDED), {SET_ASIDE}),
        (SeriesMemory(attempt=SUCCEEDED, fruitless=3), {SET_ASIDE, STUCK}),
        (SeriesMemory(attempt=SUCCEEDED._replace(judged=False)), {SET_ASIDE, STUCK}),
        (SeriesMemory(listing=CUT), {FIND}),
        (SeriesMemory(listing=CUT, complete=True), {FIND}),
        (SeriesMemory(listing=CUT._replace(cut_in_a_row=3), complete=True), set()),
    ],
)
def test_what_waits_for_its_next_attempt_or_question_has_not_recovered(series, groups):
    """`retrieved` is of the last pass when the scanner is off in this one: it says nothing of this pass."""
    assert untested(series) == groups


def test_R34_a_list_that_is_cut_too_often_has_not_recovered_when_the_count_is_believed():
    for cut, dropped in (
        (CUT, set()),
        (CUT._replace(cut_in_a_row=3), {f"{FIND} IMAGE"}),
        (CUT._replace(cut_in_a_row=0), set()),
    ):
        findings = Findings({STUDY: StudyMemory(series={SERIES: SeriesMemory(listing=cut)})})
        health.note_untested(findings, ["MR"])
        assert findings.dropped == dropped


def test_what_was_asked_for_in_this_pass_was_tested():
    assert untested(SeriesMemory(attempt=FAILED), attempted=True) == set()
    assert untested(SeriesMemory(attempt=SUCCEEDED, fruitless=3), attempted=True) == {STUCK}


def test_R35_questions_that_wait_for_their_time_leave_the_study_cut_short():
    assert untested(SeriesMemory(), obstacle="cut") == {cut_short_group(STUDY), unusable("cut").group}
    assert untested(SeriesMemory(), obstacle="cut", asked=True) == set()


# R29


def test_questions_before_closing_that_were_not_answered_are_tested_when_they_are_asked_again():
    for asked, groups in ((set(), {FIND}), ({STUDY}, set())):
        findings = Findings({STUDY: StudyMemory(closing_unanswered=True)}, asked=asked)
        health.note_untested(findings, ["MR"])
        assert findings.untested == groups


def silent(number: int, seconds: float = 200, fruitless: int = 0) -> SeriesMemory:
    attempt = Attempt(ago(seconds - number), True, False, 0, "6:")
    return SeriesMemory(attempt=attempt, fruitless=fruitless)


def findings_of(*series: SeriesMemory) -> Findings:
    known = {f"{STUDY}.{number}": one for number, one in enumerate(series)}
    return Findings({STUDY: StudyMemory(series=known)})


def test_R29_three_series_that_brought_nothing_at_all_are_one_fault(tmp_path):
    findings = findings_of(*(silent(number) for number in range(3)))
    job = make_job(tmp_path)
    health.judge_the_silent(job, findings)
    assert findings.fruitless_moves == 3
    health.note_silence(findings)
    health.report_silence(job, findings)
    assert findings.silence is not None
    (fault,) = findings.faults
    assert fault.group == "sends nothing" and "is MOVER registered" in fault.cause.text


def test_R29_one_of_them_that_brought_something_is_no_silence(tmp_path):
    have(tmp_path, uids(1), f"{STUDY}.2")
    findings = findings_of(*(silent(number) for number in range(3)))
    job = make_job(tmp_path)
    health.judge_the_silent(job, findings)
    health.note_silence(findings)
    health.report_silence(job, findings)
    assert findings.silence is None and findings.faults == []


def test_R29_what_may_still_arrive_is_not_judged(tmp_path):
    findings = findings_of(*(silent(number, seconds=60) for number in range(3)))
    health.judge_the_silent(make_job(tmp_path), findings)
    assert findings.fruitless_moves == 0
    assert not any(one.attempt.judged for one in findings.memory[STUDY].series.values() if one.attempt)


def test_a_folder_that_cannot_be_read_ends_no_pass(tmp_path):
    """Its own study says so when its turn comes (R25)."""
    have(tmp_path, ["x"], f"{STUDY}.1")
    job = make_job(tmp_path)
    broken = job.folders.series(STUDY, f"{STUDY}.0")
    findings = findings_of(*(silent(number) for number in range(2)))

    def images_in(folder):
        if folder == broken:
            raise health.UnusableError("no")
        return original(folder)

    original = health.images_in
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "images_in", images_in)
        health.judge_the_silent(job, findings)
    assert set(findings.memory[STUDY].series) == {f"{STUDY}.0", f"{STUDY}.1"}


def test_a_dry_run_reports_no_silence(tmp_path):
    findings = findings_of(*(silent(number, fruitless=1) for number in range(3)))
    health.note_silence(findings)
    health.report_silence(make_job(tmp_path, dry_run=True), findings)
    assert findings.faults == []


def test_R29_series_that_stay_away_while_others_come_say_nothing_of_the_scanner():
    """Three series of a class that the receiver refuses are a matter of their own as soon as another study arrives."""
    findings = findings_of(*(silent(number, fruitless=1) for number in range(3)))
    health.note_silence(findings)
    assert findings.silence is not None
    health.note_arrival(findings, "1.2.3")
    health.note_silence(findings)
    assert findings.silence is None


@pytest.mark.parametrize(
    "fed_at", [ago(300), Moment("an earlier boot", NOW.seconds + 5e6)], ids=["now", "before a boot"]
)
def test_R29_what_is_asked_for_after_the_last_image_came_does_count(fed_at):
    fed = SeriesMemory(attempt=Attempt(fed_at, True, False, 0, "6:"), largest=2)
    findings = findings_of(fed, *(silent(number, fruitless=1) for number in range(3)))
    health.note_arrival(findings, STUDY)
    health.note_silence(findings)
    assert findings.silence is not None
