"""The console, the bars, and the progress of long work: on a terminal, and not in a pipe."""

import io
import re

import pytest
from rich.console import Console

from scanner_mover.display import terminal
from scanner_mover.display.live_table import LiveTable
from scanner_mover.display.terminal import bar_text, plain_text, progress, show


def screen(**options: object) -> Console:
    return Console(file=io.StringIO(), width=60, _environ={}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("received", "expected", "filled"),
    [(0, 6, 0), (3, 6, 4), (6, 6, 8), (9, 6, 8), (0, None, 0), (5, None, 0), (0, 0, 0)],
)
def test_a_bar_is_as_full_as_the_series(received, expected, filled):
    text = bar_text(screen(), received, expected, 8)
    assert text.cell_len == 8
    assert text.plain.count("━") == filled


def test_text_is_no_markup_and_obeyed_by_nothing():
    on = screen()
    on.print(plain_text("[red]a[/] \x1b[2J\x07"))
    assert on.file.getvalue().rstrip() == r"[red]a[/] \x1b[2J\x07"


def test_what_is_shown_goes_to_standard_output_in_one_piece(capsys, monkeypatch):
    pieces: list[str] = []
    monkeypatch.setattr(terminal, "put", pieces.append)
    show("one", plain_text("two"))
    assert pieces == ["one\ntwo\n"]


def test_there_is_no_progress_in_a_pipe(capsys):
    asked = []

    def done() -> int:
        asked.append(1)
        return 0

    with progress("answers", None, done):
        pass
    assert capsys.readouterr() == ("", "")
    assert asked == []


@pytest.mark.parametrize("total", [None, 50])
def test_progress_on_a_terminal_counts_and_is_gone_at_the_end(monkeypatch, total):
    on = screen(force_terminal=True, color_system=None)
    monkeypatch.setattr(terminal, "console", lambda error: on)
    with progress("answers", total, lambda: 7):
        pass
    text = on.file.getvalue()
    assert re.search(r"answers .* 7", text)
    # It is erased, and the cursor is there again.
    assert "\x1b[2K" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_the_live_table_shows_each_series_and_counts_its_images(monkeypatch):
    on = screen()
    table = LiveTable()
    table.counted("1.2", "1.2.1", 6, 6, True)
    table.counted("1.2", "[red]", 0, None, False)
    table.retrieving("1.2", "[red]")
    table.image()
    table.image()
    on.print(table._table())
    text = on.file.getvalue()
    assert re.search(r"1\.2\.1 +6 of 6 .* complete", text)
    assert re.search(r"\[red\] +2 .* retrieving", text)


def test_the_live_table_keeps_to_a_screen():
    table = LiveTable()
    for number in range(100):
        table.counted("1.2", f"1.2.{number}", 0, 1, False)
    assert table._table().row_count == 20
