"""The tables of `find`, of an audit and of a pass at each width: no UID and no word is torn, nothing is obeyed."""

import pytest
from rich.console import Console

from scanner_mover.display import tables, terminal
from scanner_mover.rules.outcomes import Outcome, Procedure
from scanner_mover.scanner.search import SERIES_KEYWORDS, STUDY_KEYWORDS
from scanner_mover.transfer.audit import AuditedSeries, AuditedStudy, ClosedStudy
from scanner_mover.transfer.report import PassReport, SeriesReport, StudyReport
from tests.unit.display.overviews import HOSTILE, UID

WIDTHS = [60, 80, 120, 160, 220]
STUDY = [
    *("20260131", "101500.123", "PHANTOM-1", "Test^Phantom", "HEAD MRI with contrast"),
    *("MR\\SR", "A12345", "12", "2345", UID),
]
SERIES = ["1", "20260131", "101500", "MR", "t1_mprage", "", "176", "", f"{UID}.1", UID]


@pytest.fixture(params=WIDTHS)
def width(request, monkeypatch) -> int:
    def console(**options: bool) -> Console:
        return Console(width=request.param, highlight=False, **options)

    for module in (tables, terminal):
        monkeypatch.setattr(module, "console", console)
    width: int = request.param
    return width


def printed(capsys, width: int) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    return lines


def test_a_row_of_find_has_its_uid_and_its_words_whole(width, capsys):
    tables.show_rows(STUDY_KEYWORDS, [STUDY])
    lines = printed(capsys, width)
    assert lines[-1] == "1 found"
    words = " ".join(lines).split()
    assert [one for one in words if one == UID] == [UID]
    for word in ("2026-01-31", "10:15", "PHANTOM-1", "Test^Phantom", "contrast", "MR\\SR", "2345"):
        assert word in words
    assert ("date" in words) == (width == 220)


def test_a_series_does_not_repeat_the_study_that_was_asked_for(width, capsys):
    tables.show_rows(SERIES_KEYWORDS, [SERIES])
    words = " ".join(printed(capsys, width)).split()
    assert f"{UID}.1" in words
    assert UID not in words
    # The scanner told no protocol.
    assert "protocol" not in words


@pytest.mark.parametrize(("number", "words"), [("1", "1 series  1 image"), ("2", "2 series  2 images")])
def test_a_number_in_a_line_has_the_word_for_it(monkeypatch, capsys, number, words):
    monkeypatch.setattr(tables, "console", lambda **_: Console(width=60))
    row = [number if one.startswith("Number") else text for one, text in zip(STUDY_KEYWORDS, STUDY, strict=True)]
    tables.show_rows(STUDY_KEYWORDS, [row])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if " series " in line)
    assert line.rstrip().endswith(words)


def test_nothing_found_is_said(width, capsys):
    tables.show_rows(STUDY_KEYWORDS, [])
    assert printed(capsys, width) == ["nothing found"]


def test_an_audit_shows_what_is_missing_and_what_is_lost(width, capsys):
    lacking = AuditedStudy(
        ClosedStudy("1.2.3", "p"),
        (AuditedSeries(f"{UID}.1", 176, 100, 76), AuditedSeries("1.2", 3, 3, 0)),
        None,
        True,
        False,
    )
    lost = AuditedStudy(ClosedStudy("1.2.4", "p"), (), None, False, True)
    fine = AuditedStudy(ClosedStudy("1.2.5", "p"), (AuditedSeries("1.3", 3, 3, 0),), None, True, False)
    tables.show_audit([lacking, lost, fine])
    lines = [line.strip() for line in printed(capsys, width)]
    assert lines == [
        *("1.2.3", f"{UID}.1", "100 of 176 images here, 76 missing"),
        *("1.2.4", "neither on the scanner nor here"),
    ]
    tables.show_audit([fine])
    assert capsys.readouterr().out == ""


def report(outcome: Outcome, error: str | None = None) -> PassReport:
    study = StudyReport(UID, outcome, (SeriesReport("1.2", 6, 4, False, True, None),), Procedure.ENDED, error)
    return PassReport("ABCD", "2026-01-31T10:15:00+01:00", 1.0, True, False, (study,))


def test_the_summary_of_a_pass_has_a_column_for_errors_only_if_there_is_one(width, capsys):
    tables.show_summary(report(Outcome.WAITING))
    assert "error" not in "".join(printed(capsys, width))
    tables.show_summary(report(Outcome.ERROR, "the disk is full"))
    text = " ".join(printed(capsys, width))
    assert "error" in text
    assert "4 of 6" in text


def test_nothing_of_a_scanner_is_markup_or_obeyed(width, capsys):
    tables.show_rows(STUDY_KEYWORDS, [[*STUDY[:4], HOSTILE, *STUDY[5:]]])
    tables.show_summary(report(Outcome.ERROR, HOSTILE))
    tables.show_message(HOSTILE)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count("[red]x[/]") >= 1
