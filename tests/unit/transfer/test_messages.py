"""What a pass says of a study: counts, failures, lost steps, stuck series (R31), and images that were set aside."""

from pathlib import Path
from typing import Any

import pytest

from scanner_mover.errors import ExitStatus
from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.rules.records import Attempt, ReportedSeries, SeriesMemory, Silence, StudyMemory
from scanner_mover.site.filing import SetAside
from scanner_mover.site.mpps import Step
from scanner_mover.site.verdict import DAMAGE, Reason
from scanner_mover.transfer import messages
from scanner_mover.transfer.faults import lost_step_group, stuck_group
from scanner_mover.transfer.job import Findings
from tests.unit.transfer.made import ENDED, NOW, RUNNING, SERIES, STUDY, folders, have, make_job, make_study, uids

OFF = Failure(Kind.UNREACHABLE, "Connection refused").about(Service.FIND)
NO = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.FIND)
ATTEMPT = Attempt(NOW, True, False, 0, "6:")
UNREADABLE = Step("MPPS.4.5.6", "", "", None, readable=False)


def findings() -> Findings:
    return Findings({})


# Failures of the scanner


@pytest.mark.parametrize(
    ("failure", "message", "known", "lines"),
    [
        (NO, "no series of it", None, ["no series of it: Failed: UnableToProcess"]),
        (NO, "no series of it", "Connection refused", ["no series of it: Failed: UnableToProcess"]),
        (NO, "no series of it", "Failed: UnableToProcess", []),
        (NO, None, None, []),
        (OFF, "no series of it", None, []),
    ],
)
def test_a_failure_is_a_fault_and_logged_once_but_not_of_a_scanner_that_is_off(
    tmp_path, failure, message, known, lines
):
    logged: list[str] = []
    found = findings()
    study = make_study(tmp_path, memory=StudyMemory(error=known))
    messages.note_failure(make_job(tmp_path, logged), found, study, failure, message)
    assert logged == lines and [one.cause for one in found.faults] == [failure]
    assert study.error == failure.text


def test_of_several_failures_the_study_keeps_the_first(tmp_path):
    found, study = findings(), make_study(tmp_path)
    for failure in (NO, OFF):
        messages.note_failure(make_job(tmp_path), found, study, failure, None)
    assert study.error == NO.text and [one.cause for one in found.faults] == [NO, OFF]


# Counts


class Progress:
    def __init__(self) -> None:
        self.counts: list[tuple[object, ...]] = []

    def counted(self, *count: object) -> None:
        self.counts.append(count)


@pytest.mark.parametrize(
    ("expected", "here", "line"),
    [
        (2, 2, f"{STUDY}/{SERIES}, we do have 2 of 2"),
        (2, 3, f"{STUDY}/{SERIES}, we do have 3 of 2"),
        (6, 2, f"{STUDY}/{SERIES}, we do have 2 images but like to see 6"),
        (6, 0, f"no study directory found {STUDY}/{SERIES}, we expect 6 images"),
        (None, 1, f"{STUDY}/{SERIES}, we do have 1 image, and the scanner does not say how many there are"),
        (None, 0, f"{STUDY}/{SERIES}, we do have 0 images, and the scanner does not say how many there are"),
    ],
)
def test_the_count_is_logged_in_the_words_of_the_reference(tmp_path, expected, here, line):
    if here:
        have(tmp_path, uids(here))
    logged: list[str] = []
    progress: Any = Progress()
    study = make_study(tmp_path, ReportedSeries(SERIES, expected))
    messages.say_count(make_job(tmp_path, logged, progress=progress), study, study.series[SERIES])
    assert logged == [line]
    assert progress.counts == [(STUDY, SERIES, here, expected, expected is not None and here >= expected)]


def test_with_a_folder_of_the_study_an_empty_series_lacks_its_images_only(tmp_path):
    Path(folders(tmp_path).raw, STUDY).mkdir()
    logged: list[str] = []
    study = make_study(tmp_path, ReportedSeries(SERIES, 6))
    messages.say_count(make_job(tmp_path, logged), study, study.series[SERIES])
    assert logged == [f"{STUDY}/{SERIES}, we do have 0 images but like to see 6"]


def test_R40_of_a_series_that_is_not_kept_nothing_is_said(tmp_path):
    logged: list[str] = []
    progress: Any = Progress()
    study = make_study(tmp_path, ReportedSeries(SERIES, 6, modality="OT"), modalities=("MR",))
    messages.say_count(make_job(tmp_path, logged, progress=progress), study, study.series[SERIES])
    assert logged == progress.counts == []


# Steps whose MPPS file is gone


@pytest.mark.parametrize(
    ("steps", "known_lost", "told", "untested", "lost"),
    [
        ((RUNNING,), False, False, False, False),
        ((RUNNING,), True, False, False, False),
        ((ENDED,), True, False, False, False),
        ((), False, False, False, True),
        ((), True, True, False, True),
        ((UNREADABLE,), False, False, True, False),
        ((UNREADABLE,), True, False, True, True),
    ],
)
def test_R20_a_step_whose_file_is_gone_is_told_when_a_second_pass_misses_it(
    tmp_path, steps, known_lost, told, untested, lost
):
    found = findings()
    memory = StudyMemory(open_steps=(RUNNING.name,), steps_seen=1, step_lost=known_lost)
    study = make_study(tmp_path, memory=memory, steps=steps)
    job = make_job(tmp_path)
    messages.report_lost_steps(job, found, study)
    assert [one.group for one in found.faults] == ([lost_step_group(STUDY)] if told else [])
    assert all(job.folders.scanner in str(one.cause) for one in found.faults)
    assert found.untested == ({lost_step_group(STUDY)} if untested else set())
    assert study.memory.step_lost is lost


# Stuck series


def stuck(tmp_path: Path, memory: SeriesMemory, *, expected: int | None = 6, here: int = 2, **more: Any) -> list[Any]:
    """What is wrong with a series of this memory, as it is reported."""
    if here:
        have(tmp_path, uids(here))
    options = {name: more.pop(name) for name in ("modalities",) if name in more}
    found = findings()
    found.silence = more.pop("silence", None)
    study = make_study(tmp_path, ReportedSeries(SERIES, expected, modality="MR"), series={SERIES: memory}, **options)
    study.remember(SERIES, memory)
    messages.report_stuck(make_job(tmp_path, **more), found, study)
    assert all(one.group == stuck_group(STUDY, SERIES) for one in found.faults)
    assert all(one.exit_status == ExitStatus.SCANNER for one in found.faults)
    return [one.cause for one in found.faults]


FRUITLESS = SeriesMemory(attempt=ATTEMPT, fruitless=3)


@pytest.mark.parametrize(
    ("memory", "more", "is_told"),
    [
        (FRUITLESS, {}, True),
        (FRUITLESS._replace(fruitless=4), {}, True),
        (FRUITLESS._replace(fruitless=2), {}, False),
        (FRUITLESS._replace(fruitless=2, retrieved=True), {}, False),
        (FRUITLESS._replace(fruitless=0, retrieved=True), {"by_hand": True}, True),
        (FRUITLESS._replace(fruitless=0), {"by_hand": True}, False),
        (FRUITLESS, {"here": 6}, False),
        (FRUITLESS, {"dry_run": True}, False),
        (FRUITLESS, {"silence": Silence(3, NOW)}, False),
        (FRUITLESS, {"modalities": ("CT",)}, False),
    ],
)
def test_R31_a_series_is_stuck_after_three_fruitless_attempts_and_at_once_by_hand(tmp_path, memory, more, is_told):
    assert len(stuck(tmp_path, memory, **more)) == is_told


def test_R31_what_is_missing_and_why_is_handed_on(tmp_path):
    failed = ATTEMPT._replace(succeeded=False, error="Failed: UnableToProcess", refused=("1.2.840.10008.1.2",))
    memory = FRUITLESS._replace(attempt=failed, first_missing=(f"{SERIES}.3",))
    (cause,) = stuck(tmp_path, memory)
    assert (cause.study_instance_uid, cause.series_instance_uid) == (STUDY, SERIES)
    assert (cause.received, cause.expected, cause.first_missing) == (2, 6, (f"{SERIES}.3",))
    assert (cause.error, cause.refused, cause.succeeded) == (failed.error, failed.refused, False)


@pytest.mark.parametrize("attempt", [None, ATTEMPT])
def test_R31_without_a_failure_there_is_no_error(tmp_path, attempt):
    (cause,) = stuck(tmp_path, FRUITLESS._replace(attempt=attempt), expected=None, here=0)
    assert (cause.received, cause.expected, cause.error, cause.refused) == (0, None, None, ())
    assert cause.succeeded is (attempt is not None)


def test_R36_a_series_that_the_scanner_no_longer_has_is_not_stuck(tmp_path):
    found = findings()
    memory = FRUITLESS._replace(largest_reported=6, expected=6, largest=2)
    study = make_study(tmp_path, series={SERIES: memory})
    assert [one.is_reported for one in study.wanted] == [False], "it is remembered, and still missed"
    messages.report_stuck(make_job(tmp_path), found, study)
    assert found.faults == []


# What was set aside

WHOLE = "received images are not whole and were set aside in rejected"
OTHER_SERIES = "received images have another SeriesInstanceUID than the scanner lists and were set aside in rejected"
OTHER_STUDY = "received images have another StudyInstanceUID than the scanner lists and were set aside in rejected"


def aside(reason: Reason, study: str | None = STUDY) -> SetAside:
    return SetAside("path", reason, reason.value, study, SERIES, None)


@pytest.mark.parametrize(
    ("files", "new", "text"),
    [
        ([], False, None),
        *[([aside(reason)], new, WHOLE) for reason in sorted(DAMAGE, key=str) for new in (False, True)],
        *[([aside(reason, study)], True, WHOLE) for reason in (Reason.DAMAGED,) for study in (None, "", "no UID")],
        ([aside(Reason.DAMAGED, "1.2.99")], True, None),
        ([aside(Reason.DAMAGED, "1.2.99")], False, OTHER_STUDY),
        ([aside(Reason.NOT_REQUESTED, "1.2.99")], True, None),
        ([aside(Reason.NOT_REQUESTED, "1.2.99")], False, OTHER_STUDY),
        ([aside(Reason.OTHER_SERIES)], True, OTHER_SERIES),
        ([aside(Reason.OTHER_SERIES), aside(Reason.DAMAGED)], True, WHOLE),
        ([aside(Reason.NOT_REQUESTED, "1.2.99"), aside(Reason.OTHER_SERIES)], False, OTHER_SERIES),
        ([aside(Reason.CUT_SHORT), aside(Reason.RESTARTED), aside(Reason.DIFFERS)], False, None),
        ([aside(Reason.RESTARTED, "1.2.99")], False, None),
    ],
)
def test_what_was_set_aside_is_told_by_the_worst_of_it_and_nothing_of_strangers(files, new, text):
    assert messages.set_aside_text(files, {STUDY}, new=new, rejected="rejected") == text
