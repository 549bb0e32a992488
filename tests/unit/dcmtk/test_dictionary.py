"""The small dictionary of dump2dcm and dcmdump holds all that we write and read with it, as DICOM has it."""

import re
from importlib.resources import files
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_keyword, dictionary_VR, tag_for_keyword

from scanner_mover import dicom
from scanner_mover.dcmtk import tool
from scanner_mover.dcmtk.dump2dcm import Query, make_query_file
from scanner_mover.dcmtk.tool import SMALL_DICTIONARY
from scanner_mover.scanner.search import SERIES_KEYWORDS, STUDY_KEYWORDS
from tests.support.site import real_tools

LINES = [line.split("\t") for line in Path(SMALL_DICTIONARY).read_text().splitlines() if not line.startswith("#")]
TAGS = {line[0].strip("()").lower() for line in LINES}
TEMPLATES = [one for one in files("scanner_mover").joinpath("templates").iterdir() if one.name.endswith(".dump")]


def test_each_line_is_as_in_the_standard():
    assert LINES
    for line in LINES:
        tag = int(line[0].strip("()").replace(",", ""), 16)
        vr = {"px": "OB or OW"}.get(line[1], line[1])  # DCMTK's own name for that
        assert [vr, line[2]] == [dictionary_VR(tag), dictionary_keyword(tag)], line
        assert line[4] == "DICOM", line


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_each_key_of_a_template_is_in_it(template):
    keys = re.findall(r"^\(([0-9a-f]{4},[0-9a-f]{4})\)", template.read_text(), re.MULTILINE)
    # A private element, in an odd group, is in no dictionary of the standard: the template says its VR.
    standard = {key for key in keys if int(key[3], 16) % 2 == 0}
    assert standard and standard <= TAGS


def test_each_tag_that_is_read_of_an_answer_is_in_it():
    tags = [tag_for_keyword(keyword) for keyword in (*STUDY_KEYWORDS, *SERIES_KEYWORDS)]
    assert {f"{tag >> 16:04x},{tag & 0xFFFF:04x}" for tag in tags if tag is not None} <= TAGS
    ours = {value for name, value in vars(dicom).items() if name.isupper() and re.fullmatch(r"\w{4},\w{4}", str(value))}
    assert dicom.STUDY_INSTANCE_UID in ours and ours <= TAGS


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_query_file_is_the_same_with_the_whole_one(tmp_path, monkeypatch, template):
    names = re.findall(r"\$(\w+)", template.read_text())
    query = Query(template.name, tuple((name, "1.2.3" if "uid" in name else "") for name in names))
    small = pydicom.dcmread(make_query_file(real_tools("dump2dcm"), query, str(tmp_path / "small")))
    monkeypatch.setattr(tool, "SMALL_DICTIONARY", "missing")
    whole = pydicom.dcmread(make_query_file(real_tools("dump2dcm"), query, str(tmp_path / "whole")))
    assert small == whole and len(whole) > 2
