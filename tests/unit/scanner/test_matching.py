"""What an answer is compared with when a scanner may have ignored a key (DICOM PS3.4 section C.2.2.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.scanner.matching import matches_date, matches_text


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("Left knee", "*knee*"),
        ("Left KNEE", "*knee*"),
        ("A-1", "?-1"),
        ("A-1 ", "A-1"),
        ("Yamada^Tarou=山田^太郎", "山田*"),
        ("Yamada^Tarou=山田^太郎", "yamada^tarou"),
        ("Müller^Ä", "muller*"),
        ("Muller", "Müller"),
        ("Test^Phantom^^", "Test^Phantom"),
        ("MR\\SR", "SR"),
        ("a]b[", "a]b["),
        ("a.b", "a.b"),
        (None, "*"),
        (None, "**"),
        ("two\nlines", "two*"),
    ],
)
def test_what_may_match_does(value, pattern):
    assert matches_text(value, pattern)


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("Head", "*knee*"),
        (None, "*knee*"),
        ("", "?"),
        ("A-11", "?-1"),
        ("axb", "a.b"),
        ("ab", "[ab]"),
        ("MR\\SR", "CT"),
    ],
)
def test_what_surely_does_not_match_does_not(value, pattern):
    assert not matches_text(value, pattern)


@given(st.text())
def test_each_text_matches_itself_and_everything(text):
    assert matches_text(text, "*")
    assert matches_text(text, text)


@pytest.mark.parametrize(
    ("value", "wanted", "matched"),
    [
        ("20260131", "20260131", True),
        ("2026.01.31", "20260131", True),  # as ACR-NEMA wrote dates
        ("20260130", "20260131", False),
        ("20260131", "20260131-", True),
        ("20260130", "20260131-", False),
        ("20260131", "-20260131", True),
        ("20260201", "-20260131", False),
        ("20260115", "20260101-20260131", True),
        ("20260201", "20260101-20260131", False),
        (None, "20260131", False),
        ("", "-20260131", False),
        ("soon", "20260101-", False),
    ],
)
def test_a_date_is_in_its_range_or_not(value, wanted, matched):
    assert matches_date(value, wanted) == matched
