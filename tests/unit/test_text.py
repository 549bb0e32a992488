"""Text that is safe to show, and numbers with the word for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.text import beginning, counted, images_of, out_of, printable


@given(st.text())
def test_whatever_is_shown_breaks_no_line_and_no_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines", "two\\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("right\u202eleft", "right\\u202eleft"),
        ("Ärztin", "Ärztin"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_character_that_does_something_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(("number", "text"), [(0, "0 studies"), (1, "1 study"), (2, "2 studies")])
def test_a_number_has_the_word_for_it(number: int, text: str) -> None:
    assert counted(number, "study", "studies") == text


@pytest.mark.parametrize(
    ("number", "total", "short", "images"),
    [
        (0, None, "0", "0 images"),
        (1, None, "1", "1 image"),
        (3, None, "3", "3 images"),
        (0, 0, "0 of 0", "0 of 0 images"),
        (0, 1, "0 of 1", "0 of 1 image"),
        (1, 6, "1 of 6", "1 of 6 images"),
    ],
)
def test_how_many_of_how_many(number: int, total: int | None, short: str, images: str) -> None:
    assert (out_of(number, total), images_of(number, total)) == (short, images)


@given(st.text())
def test_of_a_line_of_another_program_the_beginning_is_enough(line: str) -> None:
    short = beginning(line)
    assert len(short) <= 301 and line.startswith(short.removesuffix("…"))
    assert short == line or len(line) > 300


def test_a_line_of_a_million_characters_is_no_text_of_ours() -> None:
    assert beginning("x" * 300) == "x" * 300
    assert beginning("x" * 1_000_000) == "x" * 300 + "…"
