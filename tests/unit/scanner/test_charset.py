"""Values in the character sets of PS3.3 C.12.1.1.2, against pydicom's own files and its own reading of them."""

import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files

from scanner_mover.scanner.charset import decode


def charset_files() -> list[str]:
    """The files in the pydicom package that hold a name in a character set of their own."""
    paths = [path for path in sorted(get_charset_files("*.dcm")) if "SQEncoding" not in path]
    assert len(paths) == 15, paths
    return paths


def raw(content: bytes) -> str:
    """As dcmdump gives a value: one character for each byte."""
    return content.decode("latin-1")


def bytes_of(path: str, keyword: str) -> bytes:
    """The value as it stands in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        element = pydicom.dcmread(path).get_item(keyword)
    assert isinstance(element.value, bytes)
    return element.value


@pytest.mark.parametrize("path", charset_files(), ids=lambda path: path.rpartition("/")[2])
def test_names_in_pydicoms_own_files_are_read_as_pydicom_reads_them(path):
    content = bytes_of(path, "PatientName")
    assert not content.isascii() or b"\x1b" in content, "this file proves nothing"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(path)
        expected = str(file.PatientName)
        declared = file.SpecificCharacterSet
    sets = (declared,) if isinstance(declared, str) else tuple(declared)
    assert decode(raw(content.rstrip(b" \0")), "PN", sets) == expected.rstrip(" ")


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        pytest.param("Kopf für Äneas".encode("latin-1"), ("ISO_IR 100",), "Kopf für Äneas", id="Latin-1"),
        pytest.param("Kopf für Äneas".encode(), ("ISO_IR 192",), "Kopf für Äneas", id="UTF-8"),
        pytest.param("頭部 MRI".encode("iso2022_jp"), ("", "ISO 2022 IR 87"), "頭部 MRI", id="ISO 2022 IR 87"),
        pytest.param("头颅".encode("gb18030"), ("GB18030",), "头颅", id="GB18030"),
        # Second bytes of GB18030 include the backslash, which separates values in other sets only.
        pytest.param("誠".encode("gb18030"), ("GB18030",), "誠", id="GB18030 with a backslash inside"),
        pytest.param("Люк".encode("iso8859_5"), ("ISO_IR 144",), "Люк", id="Cyrillic"),
    ],
)
def test_descriptions_are_read_in_the_set_that_is_declared(content, declared, text):
    assert decode(raw(content), "LO", declared) == text


@pytest.mark.parametrize("vr", ["LO", "PN"])
@pytest.mark.parametrize("declared", [(), ("",), ("ISO_IR 6",), ("NO SUCH SET",), ("ISO_IR 192", "NO SUCH SET")])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Äneas".encode(), id="UTF-8"),
        pytest.param("Äneas".encode("latin-1"), id="Latin-1"),
    ],
)
def test_bytes_that_nothing_declares_are_still_readable(content, declared, vr):
    assert decode(raw(content), vr, declared) == "Äneas"


def test_a_wrong_declaration_does_not_lose_the_value():
    # Latin-1 that claims to be UTF-8: the scanner whose operator typed it.
    assert decode(raw("Rüdiger".encode("latin-1")), "LO", ("ISO_IR 192",)) == "Rüdiger"


def test_ascii_is_left_alone_whatever_is_declared():
    for declared in ((), ("ISO_IR 100",), ("", "ISO 2022 IR 87"), ("nonsense",)):
        assert decode("Test^Phantom", "PN", declared) == "Test^Phantom"


@given(st.binary(), st.sampled_from(["PN", "LO", "SH", "CS", "UI"]), st.lists(st.text(max_size=20), max_size=3))
def test_no_bytes_and_no_declaration_raise(content, vr, declared):
    assert isinstance(decode(raw(content), vr, tuple(declared)), str)


@given(
    st.binary(),
    st.sampled_from(["PN", "LO"]),
    st.lists(st.sampled_from(sorted(pydicom.charset.python_encoding)), min_size=1, max_size=3),
)
def test_no_bytes_in_any_known_set_raise(content, vr, declared):
    assert isinstance(decode(raw(content), vr, tuple(declared)), str)
