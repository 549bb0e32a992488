"""What a UID is (R10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dicom import is_uid
from tests.support.names import NO_UIDS


@pytest.mark.parametrize(
    "text", ["1", "0", "1.2.3", "01.002", "1.00", "00", "1.2.826.0.1.3680043.10.1561.10", "1" * 64, "1." * 31 + "11"]
)
def test_R10_a_uid_is_groups_of_digits_divided_by_single_dots(text):
    assert is_uid(text)


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1." * 32 + "1", *NO_UIDS], ids=ascii)
def test_R10_anything_else_is_none(text):
    assert not is_uid(text)


@given(groups=st.lists(st.from_regex(r"[0-9]{1,16}", fullmatch=True), min_size=1, max_size=8))
def test_R10_every_such_text_of_up_to_64_characters_is_one(groups):
    text = ".".join(groups)
    assert is_uid(text) == (len(text) <= 64)


@given(text=st.text(st.characters(), max_size=70) | st.text("0123456789. \n\0-", max_size=70))
def test_R10_a_uid_holds_nothing_that_means_something_to_a_shell_or_a_path(text):
    if is_uid(text):
        assert 1 <= len(text) <= 64 and set(text) <= set("0123456789.")
        assert all(group for group in text.split("."))
