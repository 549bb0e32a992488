"""A series of which nothing new arrives any more, and the line that says so (R31)."""

import pytest

from scanner_mover.rules.records import SeriesMemory
from scanner_mover.rules.reporting import Stuck, stuck_text

_STUDY, _SERIES = "1.2.3", "1.2.3.4"


@pytest.mark.parametrize(("fruitless", "stuck"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_R31_three_fruitless_attempts_make_a_series_stuck(fruitless: int, stuck: bool) -> None:
    assert SeriesMemory(fruitless=fruitless).stuck is stuck


@pytest.mark.parametrize(
    ("stuck", "words"),
    [
        (Stuck(_STUDY, _SERIES, 0, 6), ("0 of 6", "Success but nothing arrives", "MOVER", "port 11113")),
        (Stuck(_STUDY, _SERIES, 0, None), ("is stuck at 0 images: ", "nothing arrives")),
        (Stuck(_STUDY, _SERIES, 4, 6, ("1.2.3.4.5", "1.2.3.4.6")), ("4 of 6", "missing 1.2.3.4.5, 1.2.3.4.6")),
        (Stuck(_STUDY, _SERIES, 4, 6, error="0xB000"), ("C-MOVE ends with 0xB000",)),
        (
            Stuck(_STUDY, _SERIES, 0, 6, error="were set aside", succeeded=True),
            ("6 images: were set aside; the log says",),
        ),
    ],
)
def test_R31_the_line_says_which_series_what_is_missing_and_what_is_likely(
    stuck: Stuck, words: tuple[str, ...]
) -> None:
    line = stuck_text(stuck, "MOVER", 11113)
    assert "\n" not in line
    for text in (_STUDY, _SERIES, "stuck", *words):
        assert text in line


def test_R31_of_many_missing_images_the_first_are_named() -> None:
    missing = tuple(f"1.2.3.4.{number}" for number in range(1, 100))
    line = stuck_text(Stuck(_STUDY, _SERIES, 1, 100, missing), "MOVER", 11113)
    assert "missing 1.2.3.4.1, 1.2.3.4.2" in line
    assert "and others" in line
    assert "1.2.3.4.99" not in line


@pytest.mark.parametrize("received", [0, 1])
def test_R31_who_receives_by_passes_is_not_asked_for_a_program_that_files_images(received: int) -> None:
    stuck = Stuck(_STUDY, _SERIES, received, 3)
    assert "program that files images" in stuck_text(stuck, "MOVER", None)
    assert "program that" not in stuck_text(stuck, "MOVER", 11113)
