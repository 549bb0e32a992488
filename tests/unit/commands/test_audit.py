"""`--since` and the summary of an audit."""

import datetime

import pytest

from scanner_mover.commands.audit import _rows, _summary, since
from scanner_mover.errors import UsageError
from scanner_mover.failures import Failure, Kind
from scanner_mover.transfer.audit import AuditedSeries, AuditedStudy, ClosedStudy


def study(*missing: int, lost: bool = False, failure: Failure | None = None) -> AuditedStudy:
    series = tuple(AuditedSeries(f"1.2.{number}", 6, 6 - one, one) for number, one in enumerate(missing))
    return AuditedStudy(ClosedStudy("1.2", "/data/finished-scans/1.2"), series, failure, bool(missing), lost)


@pytest.mark.parametrize("text", ["60", "60d"])
def test_since_takes_days(text):
    age = datetime.datetime.now().timestamp() - since(text)
    # An hour more or less where the clocks change.
    assert abs(age - 60 * 86400) < 3700


@pytest.mark.parametrize("text", ["2026-01-31", "20260131"])
def test_since_takes_a_date(text):
    assert datetime.datetime.fromtimestamp(since(text)) == datetime.datetime(2026, 1, 31)


def test_without_since_everything_counts():
    assert since(None) == 0


@pytest.mark.parametrize("text", ["", "soon", "30 d", "-3", "2026-02-30", "999999", "d", "1.5d"])
def test_since_takes_nothing_else(text):
    with pytest.raises(UsageError, match="--since"):
        since(text)


def test_the_summary_counts_with_the_right_words():
    assert _summary([study(0)]) == (
        "1 closed study, 1 compared with the scanner: 0 lack images (0 in all), 0 are no longer on the scanner"
    )
    failure = Failure(Kind.BUSY, "busy")
    assert _summary([study(1), study(2, 3), study(), study(lost=True), study(failure=failure)]) == (
        "5 closed studies, 4 compared with the scanner: 2 lack images (6 in all), 1 is no longer on the scanner, "
        "1 is lost: neither the scanner nor site/raw has any image"
    )
    assert "1 lacks images (1 in all)" in _summary([study(1)])


def test_a_row_for_each_series_that_lacks_images_and_for_a_lost_study():
    assert _rows(study(2, 0)) == [("1.2", "1.2.0", "6", "4", "2")]
    assert _rows(study(lost=True)) == [("1.2", "", "", "0", "")]
    assert _rows(study()) == []
