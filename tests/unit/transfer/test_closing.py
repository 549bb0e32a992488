"""When a request is closed, fails, or waits, by what a scanner tells (R14, R21 to R24, R32 to R36, R38, R40, R44)."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scanner_mover import clock
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind, Level, Service
from scanner_mover.moment import Moment
from scanner_mover.rules.outcomes import Outcome, WaitsFor
from scanner_mover.rules.records import Asked, Attempt, Listing, ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.scanner.inventory import Everything, ImageAnswer, SeriesAnswer, StudyAnswer
from scanner_mover.site.mpps import Step
from scanner_mover.transfer import closed, health
from scanner_mover.transfer.closed import Mover
from scanner_mover.transfer.closing import Closing
from scanner_mover.transfer.faults import line_of
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.last_look import LastLook
from scanner_mover.transfer.study import Study, look, remembered
from tests.unit.transfer.made import ENDED, RUNNING, SERIES, STUDY, have, make_job, request, uids

OTHER = f"{STUDY}.2"
CUT = Failure(Kind.OUT_OF_RESOURCES, "Refused: OutOfResources").about(Service.FIND, Level.IMAGE)
REFUSED = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.FIND, Level.IMAGE)
BROKEN = Failure(Kind.INTERRUPTED, "broke off").about(Service.FIND)
LISTED = ImageAnswer(frozenset(uids(2)), 2)


class Watch:
    """The clock of a test."""

    def __init__(self) -> None:
        self.seconds = 100_000.0

    def now(self) -> Moment:
        return Moment("boot", self.seconds)


@dataclass
class Scanner:
    """Answers the questions before closing; `lists` are by series."""

    reported: tuple[ReportedSeries, ...] = (ReportedSeries(SERIES, 2),)
    failure: Failure | None = None
    lists: dict[str, ImageAnswer] = field(default_factory=lambda: {SERIES: LISTED})
    study: StudyAnswer = field(default_factory=lambda: StudyAnswer(1, 2, "20260101"))
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def series(self) -> SeriesAnswer:
        return SeriesAnswer(() if self.failure else self.reported, self.failure)

    def everything(self, uid: str, series: list[str]) -> Everything:
        self.asked.append(tuple(series))
        return Everything(self.series(), {one: self.lists[one] for one in series}, self.study)


@dataclass
class Retrieving:
    """Retrieves nothing, or calls `on_study`."""

    findings: Findings
    left: float | None = None
    on_study: Callable[[Study], None] = lambda study: None
    begun: bool = False

    def study(self, study: Study) -> None:
        self.on_study(study)

    def seconds_left(self, study: Study) -> float | None:
        return self.left if any(not one.count.complete for one in study.wanted) else None

    def has_just_begun(self, study: Study) -> bool:
        return self.begun


class Site:
    """A request, its images and MPPS files, a scanner; each pass looks at them and closes the request or waits."""

    def __init__(self, root: Path, watch: Watch) -> None:
        self.root, self.watch = root, watch
        self.scanner = Scanner()
        self.steps: tuple[Step, ...] = (ENDED,)
        self.memory = StudyMemory()
        self.request = request(root)
        self.lines: list[str] = []
        self.options: dict[str, Any] = {"quiet_seconds": 0}
        self.findings = Findings({})
        self.left: float | None = 90.0
        self.begun = False
        self.on_study: Callable[[Study], None] = lambda study: None
        have(root, uids(2))

    def job(self) -> Job:
        return make_job(self.root, self.lines, **self.options)

    def pass_(self, seconds: float = 0) -> Outcome:
        """One pass, this many seconds after the last one."""
        self.watch.seconds += seconds
        self.lines.clear()
        self.findings = findings = Findings({STUDY: self.memory})
        job = self.job()
        self.study = study = Study(self.request, self.memory, self.scanner.series(), self.watch.now(), self.steps)
        look(study, {}, job.settings, job.folders, study.asked_at)
        last_look = LastLook(job, findings, self.scanner, lambda uid: self.steps)
        retrieving = Retrieving(findings, self.left, self.on_study, self.begun)
        outcome = Closing(job, findings, retrieving, last_look, Mover(job, findings)).request(study)
        self.memory = findings.memory[STUDY] = remembered(study)
        health.note_untested(findings, None)
        return outcome

    @property
    def waits(self) -> tuple[str, str]:
        return self.memory.waits_for.value, self.memory.waits_text

    @property
    def next_try(self) -> float | None:
        at = self.memory.next_try
        return None if at is None else round(at - time.time())

    def where(self) -> list[str]:
        """The folders in which the request lies."""
        data = self.root / "data"
        return [name for name in ("active-scans", "finished-scans", "failed-scans") if (data / name / STUDY).exists()]

    def ledger(self) -> dict[str, Any]:
        (line,) = Path(self.job().server.ledger).read_text().splitlines()
        value = json.loads(line)
        assert isinstance(value, dict)
        return value


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    watch = Watch()
    monkeypatch.setattr(clock, "now", watch.now)
    monkeypatch.setattr(closed, "sync_file_system", lambda folder: None)
    return Site(tmp_path, watch)


def test_R22_what_is_ended_complete_and_quiet_is_finished(site):
    assert site.pass_() is Outcome.FINISHED
    assert site.where() == ["finished-scans"]
    assert site.lines == [f"JOB {site.request.files[0]} to {site.root}/data/finished-scans"]
    assert site.scanner.asked == [(SERIES,)]
    entry = site.ledger()
    assert (entry["outcome"], entry["incomplete"], entry["reason"]) == ("finished", False, None)
    (one,) = site.findings.closed
    assert one.finished and one.raw == f"{site.root}/data/site/raw/{STUDY}"


def test_R22_nothing_changes_for_quiet_seconds_first(site):
    site.options["quiet_seconds"] = 60
    assert site.pass_() is Outcome.WAITING
    assert site.waits == ("quiet", "closes if nothing changes") and site.next_try == 60
    assert site.scanner.asked == []
    assert site.pass_(40) is Outcome.WAITING and site.next_try == 20
    site.scanner.reported += (ReportedSeries(OTHER, 1),)
    have(site.root, ["1.2.3"], OTHER)
    site.scanner.study = StudyAnswer()
    site.scanner.lists[OTHER] = ImageAnswer(frozenset(["1.2.3"]), 1)
    assert site.pass_(30) is Outcome.WAITING and site.next_try == 60, "a new series begins it anew"
    assert site.pass_(60) is Outcome.FINISHED


def test_R22_quiet_counts_from_the_end_of_the_procedure_on(site):
    site.options["quiet_seconds"] = 60
    site.steps = (RUNNING,)
    for _ in range(2):
        assert site.pass_(600) is Outcome.WAITING
        assert site.waits == ("procedure", "step MPPS.1.2.3 still in progress")
    site.steps = (ENDED,)
    assert site.pass_(600) is Outcome.WAITING and site.next_try == 60
    assert site.pass_(60) is Outcome.FINISHED


@pytest.mark.parametrize(
    ("steps", "waits"),
    [
        ((), ("mpps", "no MPPS file")),
        ((ENDED, RUNNING), ("procedure", "step MPPS.1.2.3 still in progress")),
        (
            (Step("x", readable=False),),
            ("procedure", "step an MPPS file (status not known) still in progress"),
        ),
    ],
)
def test_R20_R21_what_has_not_ended_is_waited_for(site, steps, waits):
    site.steps = steps
    assert site.pass_() is Outcome.WAITING
    assert site.waits == waits and site.scanner.asked == []


# R22: what decides is asked immediately before


def test_R22_a_step_that_began_meanwhile_keeps_it_open(site):
    asked = site.scanner.everything

    def everything(*about: Any) -> Everything:
        site.steps = (ENDED, RUNNING)
        return asked(*about)

    site.scanner.everything = everything
    assert site.pass_() is Outcome.WAITING
    assert site.waits[0] == "procedure" and site.where() == ["active-scans"]


def test_R22_a_series_that_came_meanwhile_is_retrieved_first(site):
    asked = site.scanner.everything
    seen: list[list[str]] = []

    def everything(*about: Any) -> Everything:
        site.scanner.reported = (ReportedSeries(SERIES, 2), ReportedSeries(OTHER, 1))
        site.scanner.study = StudyAnswer(2, 3)
        site.scanner.lists[OTHER] = ImageAnswer(frozenset(["1.2.3"]), 1)
        return asked(*about)

    def on_study(study: Study) -> None:
        seen.append([one.uid for one in study.wanted if not one.count.complete])

    site.scanner.everything, site.on_study, site.left = everything, on_study, 0.0
    assert site.pass_() is Outcome.WAITING
    assert seen == [[OTHER]] and site.where() == ["active-scans"]
    assert site.waits[0] == "retrieve"


@pytest.mark.parametrize(
    "change",
    [
        {"failure": BROKEN},
        {"lists": {SERIES: replace(LISTED, failure=BROKEN)}},
        {"study": StudyAnswer(failure=BROKEN)},
    ],
)
def test_R22_R35_without_an_answer_it_is_not_closed(site, change):
    asked = site.scanner.everything

    def everything(*about: Any) -> Everything:
        for name, value in change.items():
            setattr(site.scanner, name, value)
        return asked(*about)

    site.scanner.everything = everything
    assert site.pass_() is Outcome.ERROR
    assert site.waits == ("scanner", "broke off") and site.where() == ["active-scans"]
    assert "could not be asked at" in site.lines[0]


@pytest.mark.parametrize("level", ["IMAGE", "STUDY"])
def test_R22_R35_a_refusal_of_a_level_is_an_answer(site, level):
    if level == "IMAGE":
        site.scanner.lists[SERIES] = ImageAnswer(failure=REFUSED)
    else:
        site.scanner.study = StudyAnswer(failure=REFUSED)
    assert site.pass_() is Outcome.FINISHED
    assert any("relying on the count" in line for line in site.lines) == (level == "IMAGE")


def test_R22_files_of_other_names_are_counted(site):
    site.scanner.reported = (ReportedSeries(SERIES, 2),)
    for name in uids(2):
        path = site.root / "data" / "site" / "raw" / STUDY / SERIES / name
        path.rename(path.with_name(f"image-{name[-1]}.dcm"))
    assert site.pass_() is Outcome.FINISHED
    assert site.scanner.asked == [()] and "not named by UIDs" in site.lines[0]


# R34, R44


def test_R34_R44_a_list_that_is_cut_short_is_asked_for_three_times_with_pauses(site):
    site.scanner.lists[SERIES] = ImageAnswer(frozenset(uids(1)), 1, CUT)
    assert site.pass_() is Outcome.ERROR
    assert site.waits == ("scanner", CUT.text) and site.next_try == 60
    for _ in range(3):
        assert site.pass_(15) is Outcome.WAITING
        assert site.waits == ("scanner", CUT.text), "status says it until it is asked again"
        assert "scanner C-FIND" in site.findings.untested, "and it has not recovered"
    assert len(site.scanner.asked) == 1 and site.next_try == 15
    assert site.pass_(15) is Outcome.ERROR and len(site.scanner.asked) == 2
    assert site.pass_(60) is Outcome.WAITING, "the second pause is longer"
    assert site.pass_(60) is Outcome.FINISHED and len(site.scanner.asked) == 3


# R35


def test_R44_a_question_that_was_not_answered_is_forgotten_when_the_study_is_not_about_to_close(site):
    site.memory = site.memory._replace(closing_unanswered=True)
    site.steps = (RUNNING,)
    site.pass_()
    assert not site.memory.closing_unanswered


def test_R35_a_study_that_tells_more_is_told_and_asked_about_with_pauses(site):
    site.scanner.study = StudyAnswer(4, 20)
    assert site.pass_() is Outcome.ERROR
    (fault,) = site.findings.faults
    assert "the scanner reports 4 series with 20 images at STUDY level, but lists 1 series with 2" in line_of(
        fault, None
    )
    assert site.waits == ("scanner", "the scanner does not list all series") and site.next_try == 60
    assert site.pass_(15) is Outcome.WAITING and site.findings.faults == []
    assert fault.group in site.findings.untested
    assert site.waits == ("scanner", "the scanner does not list all series") and site.next_try == 45
    site.scanner.study = StudyAnswer(1, 2)
    assert site.pass_(45) is Outcome.FINISHED
    assert fault.group not in site.findings.untested


# R36


def test_R36_what_vanished_is_named_where_the_request_is_closed(site):
    site.memory = site.memory._replace(
        series={OTHER: SeriesMemory(expected=6, received=2, largest_reported=6, shrunk_since=Moment("boot", 1000.0))},
    )
    have(site.root, ["1.2.3", "1.2.4"], OTHER)
    site.steps = (RUNNING,)
    for _ in range(3):
        assert site.pass_() is Outcome.WAITING
    site.steps = (ENDED,)
    assert site.pass_() is Outcome.FINISHED
    reason = f"the scanner no longer has all of series {OTHER} (2 of 6 images)"
    assert site.lines[0] == f"{STUDY} is closed incomplete: {reason}"
    entry = site.ledger()
    assert (entry["outcome"], entry["incomplete"], entry["reason"]) == ("finished", True, reason)


def test_R14_a_study_of_which_no_series_is_told_is_never_finished(site):
    site.scanner.reported = ()
    for _ in range(3):
        assert site.pass_(4000) is Outcome.WAITING
        assert site.waits == ("scanner", "the scanner has no series of it")


def test_R14_R36_a_study_that_vanished_as_a_whole_is_not_finished(site):
    """It fails by its age, and says so: nobody can tell any more what it had."""
    gone = SeriesMemory(expected=6, received=2, largest_reported=6, shrunk_since=Moment("boot", 1000.0))
    site.memory = site.memory._replace(series={SERIES: gone})
    site.scanner.reported = ()
    for _ in range(2):
        assert site.pass_(4000) is Outcome.WAITING
    assert site.where() == ["active-scans"] and site.scanner.asked == []


# R24, R38


def test_R24_R38_what_is_over_age_twice_has_failed_and_says_why(site):
    site.scanner.reported = (ReportedSeries(SERIES, 6),)
    os.utime(site.request.files[0], (time.time() - 90_000,) * 2)
    assert site.pass_() is Outcome.WAITING
    assert site.lines[-1].endswith("is old, it fails if that is still so in a minute")
    assert site.pass_(59) is Outcome.WAITING
    assert site.pass_(1) is Outcome.FAILED and site.where() == ["failed-scans"]
    assert site.lines[-1] == f'"{site.request.files[0]}" is old, download seems to have failed'
    assert site.ledger()["reason"] == "2 of 6 images of 1 incomplete series arrived"
    (one,) = site.findings.closed
    assert not one.finished and one.reason == "2 of 6 images of 1 incomplete series arrived"


@pytest.mark.parametrize("waits_for", ["quiet", "mpps", "images", "questions"])
def test_R24_what_goes_on_does_not_fail_in_the_minute_after_a_weekend(site, waits_for):
    os.utime(site.request.files[0], (time.time() - 90_000,) * 2)
    site.options["quiet_seconds"] = 300
    if waits_for == "mpps":
        site.steps, site.options["no_mpps_after_seconds"] = (), 600
    elif waits_for == "images":
        site.scanner.reported, site.begun = (ReportedSeries(SERIES, 6),), True
    elif waits_for == "questions":
        site.options["quiet_seconds"] = 0
        site.memory = site.memory._replace(study_date="")
        in_the_way = site.root / "data" / "finished-scans" / STUDY / "x"
        in_the_way.mkdir(parents=True)
        with pytest.raises(UnusableError):
            site.pass_()
        site.memory = remembered(site.study)
    for _ in range(3):
        site.memory = site.memory._replace(over_age_since=Moment("boot", 1.0))
        assert site.pass_(61 if waits_for != "questions" else 1) is Outcome.WAITING
        assert site.lines[-1].endswith("is old, but not failed yet: it may be complete in a moment")


def test_R24_a_scanner_that_does_not_answer_fails_nothing(site):
    os.utime(site.request.files[0], (time.time() - 90_000,) * 2)
    site.scanner.failure = BROKEN
    for _ in range(3):
        assert site.pass_(4000) is Outcome.WAITING
        assert site.lines[-1].endswith("is old, kept until the scanner answers")
    assert site.where() == ["active-scans"]


def test_a_young_request_is_kept(site):
    site.steps = ()
    assert site.pass_() is Outcome.WAITING
    assert site.lines[-2:] == [
        "we are not done yet with this job",
        f'"{site.request.files[0]}" is too new, keep it around longer',
    ]


def test_R31_what_a_stuck_series_waits_for_is_what_its_last_C_MOVE_ended_with(site):
    """Also in the passes between two attempts."""
    site.scanner.reported = (ReportedSeries(SERIES, 6),)
    failed = Attempt(Moment("boot", 1.0), False, True, 2, "6:", judged=True, error="Warning: 0xB000")
    site.memory = site.memory._replace(series={SERIES: SeriesMemory(attempt=failed, fruitless=3, largest=2)})
    assert site.pass_() is Outcome.WAITING
    assert site.waits == ("images", "4 of 6 images missing, Warning: 0xB000") and site.next_try == 90


# R32


@pytest.mark.parametrize(
    ("option", "expected", "date", "seconds"),
    [(600.0, True, None, 600), (None, False, "20200101", 900), (None, False, None, 900), (None, False, "", 14400)],
)
def test_R32_without_an_MPPS_file_it_closes_when_nothing_changes_for_long(site, option, expected, date, seconds):
    site.steps = ()
    site.options["no_mpps_after_seconds"] = option
    site.memory = site.memory._replace(mpps_expected=expected, study_date=date)
    site.scanner.study = StudyAnswer(1, 2, date)
    assert site.pass_() is Outcome.WAITING
    known = seconds if option is not None or date is not None else None
    assert site.waits == ("mpps", "no MPPS file") and site.next_try == known
    assert site.pass_(seconds - 1) is Outcome.WAITING
    if date is not None:
        assert site.pass_(1) is Outcome.FINISHED


def test_R32_a_date_of_today_is_learnt_and_then_waited_for(site):
    site.steps = ()
    site.request = site.request._replace(mpps_expected=False)
    site.scanner.study = StudyAnswer(1, 2, time.strftime("%Y%m%d"))
    assert site.pass_() is Outcome.WAITING and site.next_try is None, "it depends on the date"
    assert site.pass_(900) is Outcome.WAITING and site.next_try == 13_500
    assert site.pass_(13_500) is Outcome.FINISHED


# R14, R37


def test_R14_R37_a_study_of_which_nothing_is_here_is_not_finished(site):
    """As a console tells it that is re-indexing: every series, and no image."""
    for path in (site.root / "data" / "site" / "raw" / STUDY / SERIES).iterdir():
        path.unlink()
    empty = Listing(succeeded=True)
    asked = Asked(site.watch.now(), "None:0")
    gone = SeriesMemory(listing=empty, list_asked=asked, empty_since=Moment("boot", 1.0))
    site.memory = site.memory._replace(series={SERIES: gone})
    site.scanner.reported = (ReportedSeries(SERIES),)
    for _ in range(3):
        assert site.pass_(70) is Outcome.WAITING
        assert site.waits == ("images", "the scanner lists no image of 1 series")
    os.utime(site.request.files[0], (0, 0))
    site.pass_(70)
    assert site.pass_(70) is Outcome.FAILED
    assert site.ledger()["reason"] == "the scanner lists no image of 1 series"


# R40


def test_R40_when_no_series_is_kept_the_request_fails_with_that_reason(site):
    site.options["modalities"] = ("{CT}", "MR")
    site.scanner.reported = (ReportedSeries(SERIES, 2, modality="SR"),)
    assert site.pass_() is Outcome.FAILED
    assert site.ledger()["reason"] == "no series of a modality that is kept ({CT}, MR)"


# Requests that are not there, and passes that change nothing


def test_a_study_that_is_not_requested_is_finished_and_nothing_moves(site):
    Path(site.request.files[0]).unlink()
    site.request = site.request._replace(files=())
    assert site.pass_() is Outcome.FINISHED
    assert site.where() == [] and site.findings.closed == []


def test_switched_off_nothing_moves(site):
    site.options["closes"] = False
    assert site.pass_() is Outcome.FINISHED
    assert site.where() == ["active-scans"]


def test_a_dry_run_says_what_it_would_do(site):
    site.options["dry_run"] = True
    assert site.pass_() is Outcome.FINISHED
    assert site.lines == [f"would move {site.request.files[0]} to {site.root}/data/finished-scans"]
    assert site.where() == ["active-scans"] and not Path(site.job().server.ledger).exists()


def test_a_request_that_was_taken_away_meanwhile_is_not_closed_by_us(site):
    Path(site.request.files[0]).unlink()
    assert site.pass_() is Outcome.FINISHED
    assert site.lines == [f"{site.request.files[0]} was taken away meanwhile"] and site.findings.closed == []


def test_the_word_of_the_contract_is_always_one_of_them(site):
    words = {one.value for one in WaitsFor}
    for steps in ((), (RUNNING,), (Step("x", readable=False),)):
        site.steps = steps
        site.pass_(100)
        assert site.memory.waits_for.value in words


# R20


def test_R20_a_study_whose_open_step_has_gone_is_not_closed_without_a_file(site):
    site.options["no_mpps_after_seconds"] = 300
    site.steps = (RUNNING,)
    assert site.pass_() is Outcome.WAITING
    site.steps = ()
    for _ in range(3):
        assert site.pass_(4000) is Outcome.WAITING
        assert site.waits == ("procedure", "step MPPS.1.2.3 (its file is gone) still in progress")
    site.steps = (ENDED,)
    assert site.pass_() is Outcome.FINISHED


def test_R20_one_of_several_files_is_gone(site):
    first, second = ENDED, replace(RUNNING, file="MPPS.1.2.4", sop_instance_uid="1.2.4")
    site.steps = (first, second)
    assert site.pass_() is Outcome.WAITING
    for steps in ((), (first,)):
        site.steps = steps
        assert site.pass_() is Outcome.WAITING
        assert site.waits == ("procedure", "step MPPS.1.2.4 (its file is gone) still in progress")
    site.steps = (first, replace(ENDED, file="MPPS.1.2.4"))
    assert site.pass_() is Outcome.FINISHED


def test_R20_a_file_of_a_new_name_may_take_the_place_of_another(site):
    site.steps = (RUNNING,)
    assert site.pass_() is Outcome.WAITING
    site.steps = (replace(ENDED, file="MPPS.1.2.9", sop_instance_uid="1.2.9"),)
    assert site.pass_() is Outcome.FINISHED


def test_R32_who_says_that_none_is_expected_ends_the_wait_for_one_that_is_gone(site):
    site.steps = (RUNNING,)
    assert site.pass_() is Outcome.WAITING
    site.steps = ()
    site.request = site.request._replace(mpps_expected=False)
    assert site.pass_() is Outcome.WAITING and site.waits == ("mpps", "no MPPS file")
    site.scanner.study = StudyAnswer(1, 2, "20200101")
    assert site.pass_(1000) is Outcome.FINISHED


def test_R32_a_study_whose_steps_had_ended_may_lose_their_files(site):
    site.options |= {"no_mpps_after_seconds": 300, "quiet_seconds": 60}
    assert site.pass_() is Outcome.WAITING
    site.steps = ()
    assert site.pass_(10) is Outcome.WAITING
    assert site.pass_(400) is Outcome.FINISHED


def test_a_file_that_cannot_be_read_is_no_step_that_was_seen(site):
    site.options["no_mpps_after_seconds"] = 300
    site.steps = (Step("", readable=False),)
    assert site.pass_() is Outcome.WAITING
    site.steps = ()
    assert site.pass_(10) is Outcome.WAITING
    assert site.pass_(400) is Outcome.FINISHED


# Earlier requests


def test_what_an_earlier_request_that_failed_left_is_gone_when_a_later_one_is_finished(site):
    folder = site.root / "data" / "failed-scans"
    folder.mkdir(exist_ok=True)
    (folder / STUDY).write_text("earlier")
    assert site.pass_() is Outcome.FINISHED
    assert site.where() == ["finished-scans"]
    assert any("failed-scans" in line and "an earlier request" in line for line in site.lines)


def test_a_study_that_was_finished_once_stays_so_when_a_later_request_fails(site):
    folder = site.root / "data" / "finished-scans"
    folder.mkdir(exist_ok=True)
    (folder / STUDY).write_text("earlier")
    os.utime(site.request.files[0], (0, 0))
    site.steps = (RUNNING,)
    site.pass_()
    assert site.pass_(61) is Outcome.FAILED
    assert site.where() == ["finished-scans", "failed-scans"]


def test_a_folder_of_its_name_stays(site):
    folder = site.root / "data" / "failed-scans" / STUDY
    folder.mkdir(parents=True)
    assert site.pass_() is Outcome.FINISHED
    assert folder.is_dir() and not site.findings.faults
