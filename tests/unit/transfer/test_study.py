"""One study: what the scanner reports, what is here and what is remembered, put together (R13, R21, R22, R29, R36)."""

import os
from dataclasses import replace

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure, Kind
from scanner_mover.rules.outcomes import Procedure
from scanner_mover.rules.records import Asked, Attempt, Listing, ReportedSeries, SeriesMemory, StudyMemory
from scanner_mover.rules.series import VANISHED_SECONDS
from scanner_mover.scanner.inventory import ImageAnswer, SeriesAnswer
from scanner_mover.site.mpps import Step
from scanner_mover.transfer.study import look, remembered, series_reports
from tests.unit.transfer.made import ENDED, NOW, RUNNING, SERIES, SETTINGS, STUDY, ago, folders, have, make_study, uids

GONE = SeriesMemory(expected=6, received=2, largest_reported=6)


def test_R13_images_are_counted_as_they_lie_here(tmp_path):
    have(tmp_path, [*uids(2), ".hidden"])
    have(tmp_path, ["1.2.3"], content="")
    series = make_study(tmp_path, ReportedSeries(SERIES, 6)).series[SERIES]
    assert (series.count.expected, series.count.received, series.count.complete) == (6, 2, False)
    assert list(series.here.empty) == ["1.2.3"]
    have(tmp_path, uids(6))
    assert make_study(tmp_path, ReportedSeries(SERIES, 6)).series[SERIES].count.complete


def test_what_is_remembered_of_an_attempt_is_of_that_pass_only(tmp_path):
    known = {SERIES: SeriesMemory(retrieved=True, error="no", largest=3)}
    series = make_study(tmp_path, ReportedSeries(SERIES, 6), series=known).series[SERIES]
    assert (series.memory.retrieved, series.memory.error, series.memory.largest) == (False, None, 3)


def test_of_a_scanner_that_does_not_answer_nothing_is_forgotten(tmp_path):
    failed = SeriesAnswer((), Failure(Kind.UNREACHABLE, "off"))
    study = make_study(tmp_path, answer=failed, series={SERIES: GONE})
    assert study.series == {}
    assert remembered(study).series == {SERIES: GONE}


def test_of_a_study_that_cannot_be_looked_at_nothing_is_forgotten(tmp_path, monkeypatch):
    """A folder that cannot be read once must not make the scanner be asked for what it was asked for a moment ago."""
    known = {f"{STUDY}.{number}": GONE._replace(fruitless=2) for number in range(3)}
    study = make_study(tmp_path, *(ReportedSeries(uid, 6) for uid in known), series=known)
    again = replace(study, memory=remembered(study), series={}, is_looked_at=False)

    def no_second_folder(path):
        if path.endswith(f"{STUDY}.1"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", no_second_folder)
    with pytest.raises(UnusableError, match="Permission denied"):
        look(again, {}, SETTINGS, folders(tmp_path), NOW)
    assert {uid: one.fruitless for uid, one in remembered(again).series.items()} == dict.fromkeys(known, 2)


# R36


def test_R36_a_series_that_the_scanner_no_longer_tells_is_waited_for(tmp_path):
    have(tmp_path, uids(2))
    other = f"{STUDY}.2"
    study = make_study(tmp_path, ReportedSeries(other, 1), series={SERIES: GONE})
    assert set(study.series) == {SERIES, other}
    series = study.series[SERIES]
    assert not series.is_reported and not series.count.complete and series.memory.shrunk_since == NOW


def test_R36_one_that_vanished_for_good_is_remembered_until_the_request_is_closed(tmp_path):
    """The procedure may go on for hours after that; then the request must not be closed without a word."""
    have(tmp_path, uids(2))
    known = {SERIES: GONE._replace(shrunk_since=ago(VANISHED_SECONDS))}
    for _ in range(3):
        study = make_study(tmp_path, ReportedSeries(f"{STUDY}.2", 1), series=known)
        assert study.series[SERIES].count.complete and study.series[SERIES].count.vanished
        known = dict(remembered(study).series)


@pytest.mark.parametrize(
    "memory",
    [
        SeriesMemory(expected=6, received=6, complete=True, largest_reported=6),
        SeriesMemory(),
        GONE._replace(modality="SR"),
    ],
)
def test_R36_a_series_that_is_here_was_never_counted_or_is_not_wanted_may_go(tmp_path, memory):
    study = make_study(tmp_path, ReportedSeries(f"{STUDY}.2", 1), series={SERIES: memory}, modalities=("MR",))
    assert set(study.series) == {f"{STUDY}.2"}


# R22, R40


def test_R22_other_numbers_make_another_fingerprint(tmp_path):
    prints = {
        make_study(tmp_path, *reported).fingerprint
        for reported in (
            [ReportedSeries(SERIES, 6)],
            [ReportedSeries(SERIES, 7)],
            [ReportedSeries(SERIES, 6), ReportedSeries(f"{STUDY}.2", 6)],
            [],
        )
    }
    assert len(prints) == 4
    assert make_study(tmp_path, ReportedSeries(SERIES, 6)).fingerprint in prints


def test_series_are_reported_in_the_order_of_their_numbers(tmp_path):
    uids = [f"{STUDY}.{number}" for number in (10, 9, 1)]
    study = make_study(tmp_path, *(ReportedSeries(uid, 6) for uid in uids))
    assert [one.series_instance_uid for one in series_reports(study)] == uids[::-1]


def test_R40_what_is_not_wanted_is_no_part_of_it(tmp_path):
    reported = [ReportedSeries(SERIES, 6, modality="MR"), ReportedSeries(f"{STUDY}.2", 3, modality="SR")]
    study = make_study(tmp_path, *reported, modalities=("MR",))
    assert [one.uid for one in study.wanted] == [SERIES]
    assert [one.series_instance_uid for one in series_reports(study)] == [SERIES]
    assert study.fingerprint == make_study(tmp_path, reported[0]).fingerprint


def test_R33_a_list_that_decides_says_what_is_missing_by_name(tmp_path):
    have(tmp_path, uids(4))
    study = make_study(tmp_path, ReportedSeries(SERIES, None, 100))
    answer = ImageAnswer(frozenset([*uids(6), "a name"]), 7)
    look(study, {(STUDY, SERIES): answer}, SETTINGS, folders(tmp_path), NOW)
    series = study.series[SERIES]
    assert (series.count.expected, series.count.received, series.count.missing) == (7, 4, 3)
    assert series.memory.first_missing == tuple(uids(6)[4:]), "what is no UID may be anything"


# R20, R21


@pytest.mark.parametrize(
    ("steps", "procedure", "names"),
    [
        ((), Procedure.UNKNOWN, []),
        ((ENDED,), Procedure.ENDED, []),
        ((ENDED, RUNNING), Procedure.IN_PROGRESS, ["MPPS.1.2.3"]),
        ((Step("MPPS.1.2.4", None, "SECRET^JOHN"),), Procedure.IN_PROGRESS, ["MPPS.1.2.4 (status not known)"]),
        ((Step("SECRET^JOHN", "1.2.5", None),), Procedure.IN_PROGRESS, ["1.2.5 (status not known)"]),
        ((Step("x y", readable=False),), Procedure.IN_PROGRESS, ["an MPPS file (status not known)"]),
    ],
)
def test_R21_the_steps_that_are_open_are_named_as_everybody_may_read_them(tmp_path, steps, procedure, names):
    study = make_study(tmp_path, steps=steps)
    assert (study.procedure, study.open_step_names) == (procedure, names)


# R29


def test_R29_after_a_loss_of_the_memory_nothing_is_asked_for_at_once(tmp_path):
    have(tmp_path, uids(2))
    done = f"{STUDY}.2"
    have(tmp_path, ["1.2.3.4"], series=done)
    study = make_study(tmp_path, ReportedSeries(SERIES, 6), ReportedSeries(done, 1))
    study.wait_after_loss()
    assert study.series[SERIES].memory.attempt == Attempt(NOW, True, False, 2, "6:", judged=True)
    assert study.series[SERIES].memory.fruitless == 0
    assert study.series[done].memory.attempt is None
    assert isinstance(study.memory, StudyMemory)


@pytest.mark.parametrize(("here", "complete"), [(0, False), (1, True)])
def test_R22_what_came_after_the_list_and_is_gone_again_is_missing(tmp_path, here, complete):
    """Nothing was here when the list was asked for, then the image came, and somebody removed it."""
    listed = Listing(succeeded=True, listed=1, answers=1, missing=0)
    known = SeriesMemory(listing=listed, list_asked=Asked(NOW, "1:0"), largest=1, received=1, complete=True)
    have(tmp_path, uids(here))
    count = make_study(tmp_path, ReportedSeries(SERIES, 1), series={SERIES: known}).series[SERIES].count
    assert (count.received, count.complete) == (here, complete)
