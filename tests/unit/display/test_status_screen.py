"""The screen of `status` at each width: what needs attention first, nothing torn, nothing obeyed."""

import io
import re

import pytest
from rich.console import Console

from scanner_mover.display.status_screen import _head, screen
from tests.unit.display.overviews import ERROR, EVERYTHING, EVERYTHING_HOSTILE, LONGEST, QUIET, RUNNING, STUCK, overview

WIDTHS = [40, 60, 80, 120, 160, 200]


def shown(what, width: int, *, colours: bool = False, whole: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        _environ={},
    )
    console.print(screen(what, console, whole=whole))
    text = console.file.getvalue()
    assert all(len(line) <= width for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())
    return text


@pytest.mark.parametrize("width", WIDTHS)
def test_what_needs_attention_comes_first_and_is_red(width):
    text = shown(EVERYTHING, width, colours=True)
    unfolded = re.sub(r"\x1b\[[0-9;]*m|\s", "", text)
    places = [
        unfolded.index(re.sub(r"\s", "", one))
        for one in (
            "the scanner says Success",
            "failed in the last",
            STUCK.report.study_instance_uid,
            QUIET.report.study_instance_uid,
        )
    ]
    assert places == sorted(places)
    red = "".join(re.findall(r"\x1b\[1;31m([^\x1b]*)", text))
    assert "2 of 6" in red.replace("\n", " ")
    assert "the scanner says Success" in red
    assert "closes in" not in red


@pytest.mark.parametrize(("width", "lines"), [(120, 1), (160, 1), (80, 2)])
def test_a_request_is_one_line_at_120_columns_and_two_at_80(width, lines):
    one, two = (shown(overview(*requests), width).splitlines() for requests in ([QUIET], [QUIET, STUCK]))
    assert len(two) - len(one) == lines


@pytest.mark.parametrize("width", WIDTHS)
def test_no_character_of_a_uid_is_lost(width):
    unfolded = re.sub(r"\s", "", shown(EVERYTHING, width))
    for request in EVERYTHING.requests:
        assert request.report.study_instance_uid in unfolded
    if width >= 80:
        assert LONGEST in shown(EVERYTHING, width).split()


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_words_are_not_torn(width):
    text = shown(overview(QUIET, RUNNING), width)
    words = text.split()
    for word in ("finished:", "closes", "still"):
        assert word in words, text


def test_the_whole_of_what_it_waits_for_is_there_when_there_is_room_or_it_is_asked_for():
    assert "C-MOVE says Success but nothing arrives" not in shown(EVERYTHING, 120)
    assert "…" in shown(EVERYTHING, 120)
    whole = " ".join(shown(EVERYTHING, 180, whole=True).split())
    assert "…" not in whole
    assert "nothing" in whole
    assert "C-MOVE says Success but nothing arrives" in shown(EVERYTHING, 220)


@pytest.mark.parametrize("width", [60, 80, 130, 145, 160, 200])
def test_the_time_of_the_next_try_is_not_cut(width):
    assert re.search(r"2 of 6 images missing, next try \d\d:\d\d", shown(EVERYTHING, width))


def test_columns_that_matter_least_make_room():
    wide, narrower = shown(EVERYTHING, 180), shown(EVERYTHING, 160)
    assert ("procedure" in wide, "━" in wide) == (True, True)
    assert ("procedure" in narrower, "━" in narrower, "state" in narrower) == (True, False, True)


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_reason_of_a_failed_request_is_whole(width):
    assert "older than 24 h; 3 of 176 images never came" in " ".join(shown(EVERYTHING, width).split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("colours", [True, False])
def test_nothing_from_a_file_is_markup_or_obeyed(width, colours):
    text = shown(EVERYTHING_HOSTILE, width, colours=colours, whole=True)
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert "\x07" not in text
    unfolded = re.sub(r"\x1b\[[0-9;]*m|\s", "", text)
    assert unfolded.count("[red]x[/][/y]&amp;") >= 4


def test_an_error_without_a_number_has_an_empty_bar():
    assert re.search(r"in progress  0 of 1 +0 +error", shown(overview(ERROR), 160))


def test_a_pass_that_hangs_is_red_and_the_last_one_keeps_its_own_colour():
    hanging = overview(RUNNING, hangs="the pass that runs has logged nothing for 2 h")
    hanging.state.exit_status = 5
    lines = {str(line): line.style for line in _head(hanging)}
    assert lines["the pass that runs has logged nothing for 2 h"] == "bold red"
    (last_pass,) = (style for line, style in lines.items() if line.startswith("last pass "))
    assert last_pass == "red"


def test_nothing_requested_is_said():
    assert "no study is requested" in shown(overview(), 80)
