"""One study in a pass: whose images are listed, what the log says of it, and what is noted for the report, for `status`
and for the next pass (R13, R29, R40, R44).
"""

import re
from pathlib import Path

import pytest

from scanner_mover.failures import Failure, Kind, Service
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.rules.records import Asked, Attempt, Listing, ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.scanner.inventory import ImageAnswer
from scanner_mover.site.mpps import Step
from scanner_mover.transfer.report import StudyReport
from tests.unit.transfer.a_pass import ONE, TWO, APass, put
from tests.unit.transfer.made import ENDED, NOW, RUNNING, ago

SERIES = f"{ONE}.1"
NO = Failure(Kind.REFUSED, "Failed: UnableToProcess").about(Service.FIND)
LISTED = Listing(succeeded=True, listed=3, answers=3, missing=1)


@pytest.fixture
def one_pass(tmp_path, monkeypatch) -> APass:
    return APass(tmp_path, monkeypatch)


def remembering(**more: object) -> dict[str, StudyMemory]:
    return {ONE: StudyMemory(series={SERIES: SeriesMemory(**more)})}  # type: ignore[arg-type]


# Lists of images


def asked(seconds: float, basis: str, repeats: int = 0) -> Asked:
    return Asked(ago(seconds), basis, repeats)


@pytest.mark.parametrize(
    ("number", "known", "is_asked"),
    [
        (3, None, False),
        (None, None, True),
        # Where a number is known, the list matters only while images of it are missing.
        (3, SeriesMemory(listing=LISTED), True),
        (3, SeriesMemory(listing=LISTED, complete=True), False),
        (3, SeriesMemory(listing=LISTED._replace(listed=0)), False),
        (None, SeriesMemory(listing=LISTED, complete=True), True),
        # R44, with 2 images here
        (3, SeriesMemory(listing=LISTED, list_asked=asked(59, "3:2")), False),
        (3, SeriesMemory(listing=LISTED, list_asked=asked(61, "3:2")), True),
        (3, SeriesMemory(listing=LISTED, list_asked=asked(61, "3:2", repeats=2)), False),
        (3, SeriesMemory(listing=LISTED, list_asked=asked(1, "4:2")), True),
        (3, SeriesMemory(listing=LISTED, list_asked=asked(1, "3:1")), True),
        (None, SeriesMemory(list_asked=asked(1, "None:2")), True),
        (None, SeriesMemory(list_asked=asked(59, "None:2", repeats=5)), False),
        (None, SeriesMemory(list_asked=asked(61, "None:2", repeats=5)), True),
    ],
)
def test_R13_R44_the_images_are_listed_where_only_a_list_counts_them_and_it_is_time(
    one_pass, tmp_path, number, known, is_asked
):
    one_pass.request(ONE, ReportedSeries(SERIES, number))
    put(tmp_path, ONE, SERIES, 2)
    one_pass.memory = {ONE: StudyMemory(series={} if known is None else {SERIES: known})}
    one_pass.run(dry_run=True)
    assert one_pass.console.did[2:3] == ([f"images of {SERIES}"] if is_asked else [])


def test_R40_all_lists_are_asked_for_at_once_but_for_series_that_are_not_kept(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES, modality="MR"), ReportedSeries(f"{ONE}.2", modality="OT"), age=60)
    one_pass.request(TWO, ReportedSeries(f"{TWO}.1", modality="MR"))
    one_pass.run(modalities=("MR",), dry_run=True)
    assert one_pass.console.did[2] == f"images of {SERIES} {TWO}.1"


def test_R25_a_folder_that_cannot_be_read_keeps_no_other_list_back(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES), age=60)
    one_pass.request(TWO, ReportedSeries(f"{TWO}.1"))
    broken = Path(one_pass.folders.series(ONE, SERIES))
    broken.parent.mkdir(parents=True)
    broken.symlink_to(broken.name)
    found = one_pass.run(dry_run=True)
    assert one_pass.console.did[2] == f"images of {TWO}.1"
    assert [one.outcome for one in found.reports] == [Outcome.ERROR, Outcome.WAITING]


def test_a_list_that_failed_is_a_fault_of_its_study(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES), ReportedSeries(f"{ONE}.2"))
    one_pass.console.lists[ONE, f"{ONE}.2"] = ImageAnswer(failure=NO)
    found = one_pass.run(dry_run=True)
    assert [one.cause for one in found.faults] == [NO]
    assert (found.reports[0].outcome, found.reports[0].error) == (Outcome.ERROR, NO.text)
    lines = [line for line in one_pass.lines if "could not be asked" in line]
    assert lines == [f"{ONE}/{ONE}.2, the scanner could not be asked for its images: {NO.text}"]


# What the log says


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ((), ["could not find 1.2.1 MPPS file in FOLDER/"]),
        ((ENDED,), ["PerformedProcedureStepEndTime found 104500"]),
        ((ENDED, Step("MPPS.2", "2", "DISCONTINUED")), ["PerformedProcedureStepEndTime found DISCONTINUED"]),
        (
            (RUNNING, ENDED, Step("MPPS.3", "3", "A NAME")),
            [
                "no PerformedProcedureStepEndTime yet, still in progress",
                f"step {RUNNING.name} still in progress (IN PROGRESS)",
                f"step {Step('MPPS.3', '3').name} still in progress (status not known)",
            ],
        ),
    ],
)
def test_the_log_says_how_the_procedure_stands(one_pass, steps, lines):
    path = one_pass.request(ONE, ReportedSeries(SERIES, 2))
    one_pass.steps[ONE] = steps
    one_pass.run(dry_run=True)
    done = one_pass.lines.index(f"done with scanning for series in study {ONE}")
    assert one_pass.lines[0] == f"PROCESS: {path}"
    said = one_pass.lines[done + 1 : one_pass.lines.index("we are not done yet with this job")]
    assert said == [line.replace("FOLDER", one_pass.folders.scanner) for line in lines]


@pytest.mark.parametrize(("by_hand", "faults"), [(False, []), (True, [f"no-study {ONE}"])])
def test_a_study_that_the_scanner_does_not_have_is_a_fault_only_when_it_was_named_by_hand(one_pass, by_hand, faults):
    one_pass.request(ONE)
    found = one_pass.run(by_hand=by_hand)
    assert f"the scanner has no series of {ONE}" in one_pass.lines
    assert [one.group for one in found.faults] == faults
    assert found.memory[ONE].event == "the scanner has no series of it"


def test_R40_that_a_series_is_not_kept_is_logged_once(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES, 2, modality="OT"), ReportedSeries(f"{ONE}.2", 2, modality="MR"))
    line = f"{ONE}/{SERIES}, not asked for: modalities has no OT"
    for expected in ([line], []):
        one_pass.lines.clear()
        found = one_pass.run(modalities=("MR",))
        assert [one for one in one_pass.lines if "modalities" in one] == expected
    assert one_pass.console.moves == [f"{ONE}.2"]
    assert [one.series_instance_uid for one in found.reports[0].series] == [f"{ONE}.2"]


# What is noted


def test_R29_a_study_whose_memory_was_lost_waits_unless_it_was_named_by_hand(one_pass):
    for study in (ONE, TWO):
        one_pass.request(study, ReportedSeries(f"{study}.1", 2))
    found = one_pass.run(forgotten={ONE})
    assert one_pass.console.moves == [f"{TWO}.1"]
    attempt = found.memory[ONE].series[SERIES].attempt
    assert attempt is not None and attempt.at == NOW
    one_pass.memory = {}
    one_pass.console.did.clear()
    one_pass.run(forgotten={ONE}, by_hand=True)
    assert one_pass.console.did[2:] == [f"move {ONE}.1", f"move {TWO}.1"], "as a whole: nothing is listed before"


@pytest.mark.parametrize(
    ("sends", "late", "event"),
    [
        (2, 0, "1 series retrieved, 2 images arrived"),
        (1, 0, "1 series retrieved, 1 image arrived"),
        (0, 0, "1 series retrieved, 0 images arrived"),
        (None, 1, "1 image arrived"),
        (None, 0, "earlier"),
    ],
)
def test_what_happened_to_a_study_is_kept_for_status(one_pass, tmp_path, sends, late, event):
    """With `sends` None it is not time to ask; what another C-MOVE brought late arrives all the same."""
    one_pass.request(ONE, ReportedSeries(SERIES, 6))
    put(tmp_path, ONE, SERIES, 1 + late)
    attempt = Attempt(ago(5), True, False, 0, "6:") if sends is None else None
    known = SeriesMemory(received=1, largest=1, attempt=attempt)
    one_pass.memory = {ONE: StudyMemory(series={SERIES: known}, event="earlier", event_at="then")}
    one_pass.console.sends[SERIES] = 1 + (sends or 0)
    found = one_pass.run()
    memory = found.memory[ONE]
    assert memory.event == event and found.images_received == (sends or 0) + late
    assert (memory.event_at == "then") == (event == "earlier")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*", memory.seen)


def test_an_event_keeps_the_time_when_it_happened_first(one_pass):
    one_pass.request(ONE)
    one_pass.memory = {ONE: StudyMemory(event="the scanner has no series of it", event_at="then")}
    memory = one_pass.run().memory[ONE]
    assert memory.event_at == "then" and memory.seen != "then"


def test_images_that_went_away_are_not_counted_as_received(one_pass, tmp_path):
    one_pass.request(ONE, ReportedSeries(SERIES, 6), age=60)
    one_pass.request(TWO, ReportedSeries(f"{TWO}.1", 6))
    put(tmp_path, ONE, SERIES, 1)
    one_pass.memory = remembering(received=5, largest=5)
    one_pass.console.sends = {SERIES: 1, f"{TWO}.1": 2}
    found = one_pass.run()
    assert found.images_received == 2
    assert found.memory[ONE].event == "1 series retrieved, 0 images arrived"


def test_the_report_of_a_study(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES, 3), ReportedSeries(f"{ONE}.2", 1))
    one_pass.steps[ONE] = (RUNNING,)
    one_pass.console.sends = {SERIES: 2, f"{ONE}.2": 1}
    (report,) = one_pass.run().reports
    assert isinstance(report, StudyReport)
    assert report.to_json() == {
        "study": ONE,
        "outcome": "waiting",
        "procedure": "in progress",
        "error": None,
        "series": [
            {"series": SERIES, "expected": 3, "received": 2, "complete": False, "pulled": True, "error": None},
            {"series": f"{ONE}.2", "expected": 1, "received": 1, "complete": True, "pulled": True, "error": None},
        ],
    }
    memory = one_pass.memory[ONE]
    assert (memory.outcome, memory.procedure, memory.error) == (Outcome.WAITING, Procedure.IN_PROGRESS, None)


def test_R20_a_step_in_progress_whose_file_is_gone_is_told_when_a_second_pass_misses_it(one_pass):
    one_pass.request(ONE, ReportedSeries(SERIES, 2))
    one_pass.steps[ONE] = (RUNNING,)
    groups = [[one.group for one in one_pass.run().faults]]
    one_pass.steps[ONE] = ()
    groups += [[one.group for one in one_pass.run().faults] for _ in range(2)]
    assert groups == [[], [], [f"lost-step {ONE}"]]
