"""The query files that the real dump2dcm makes: levels and keys of the standard (R10, R11, R15)."""

import os
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian

from scanner_mover.dcmtk.dump2dcm import (
    Query,
    images_of_series,
    make_query_file,
    move_of_series,
    moves_of_images,
    series_of_study,
)
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from tests.support.site import fake_tool, real_tools
from tests.unit.dcmtk import VERSIONS, played, sample

STUDY = "1.2.826.0.1.3680043.10.1561.11"
SERIES = STUDY + ".1"
LONGEST = "1." * 31 + "11"


@pytest.fixture(scope="module")
def tools() -> Toolbox:
    return real_tools("dump2dcm")


def keys(tools: Toolbox, folder: Path, query: Query) -> dict[str, str]:
    """The keys of the file that the real dump2dcm makes."""
    path = make_query_file(tools, query, str(folder / "query"))
    made = pydicom.dcmread(path)
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    return {element.keyword: str(element.value or "") for element in made}


def test_R11_the_series_of_a_study(tools, tmp_path):
    assert keys(tools, tmp_path, series_of_study(STUDY)) == {
        "QueryRetrieveLevel": "SERIES",
        "Modality": "",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": "",
        "ImagesInAcquisition": "",
        "NumberOfSeriesRelatedInstances": "",
    }


def test_R13_R22_the_images_of_a_series(tools, tmp_path):
    assert keys(tools, tmp_path, images_of_series(STUDY, SERIES)) == {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "SOPInstanceUID": "",
    }


def test_R15_a_series_to_move_is_named_with_its_study(tools, tmp_path):
    assert keys(tools, tmp_path, move_of_series(STUDY, SERIES)) == {
        "QueryRetrieveLevel": "SERIES",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
    }


def test_R15_R22_images_to_move_are_named_with_their_series_and_study(tools, tmp_path):
    uids = [f"{SERIES}.{number}" for number in range(1, 4)]
    (query,) = moves_of_images(STUDY, SERIES, uids)
    made = pydicom.dcmread(make_query_file(tools, query, str(tmp_path / "query")))
    assert (made.QueryRetrieveLevel, made.StudyInstanceUID, made.SeriesInstanceUID) == ("IMAGE", STUDY, SERIES)
    assert list(made.SOPInstanceUID) == uids


@pytest.mark.parametrize(("number", "length"), [(1, 64), (999, 5), (1000, 64), (1001, 9), (2500, 64), (3000, 7)])
def test_lists_of_images_are_no_longer_than_a_server_takes(tools, tmp_path, number, length):
    uids = [f"1.{index:0{length - 2}}" for index in range(number)]
    found = []
    for index, query in enumerate(moves_of_images(STUDY, SERIES, iter(uids))):
        with pydicom.config.disable_value_validation():
            made = pydicom.dcmread(make_query_file(tools, query, str(tmp_path / f"query{index}")))
            value = made["SOPInstanceUID"].value
        batch = [value] if isinstance(value, str) else list(value)
        assert len(batch) <= 1000
        assert len("\\".join(batch)) <= 65534
        found += batch
    assert found == uids


def test_an_empty_list_of_images_asks_for_nothing():
    assert list(moves_of_images(STUDY, SERIES, [])) == []


@pytest.mark.parametrize("uid", ["", "x", "1.2\\", "*", "1.2]\n(0008,0052) CS [STUDY"])
def test_R10_what_is_no_uid_gets_into_no_list(uid):
    (query,) = moves_of_images(STUDY, SERIES, [STUDY, uid])
    with pytest.raises(ValueError, match="not a list of UIDs"):
        query.text()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "1.02.003", LONGEST])
def test_a_uid_of_any_length_arrives_as_it_is(tools, tmp_path, uid):
    assert keys(tools, tmp_path, series_of_study(uid))["StudyInstanceUID"] == uid


@pytest.mark.parametrize(
    "uid", ["x", "1.2]\n(0008,0052) CS [IMAGE]", "1.2\\1.3", "*", "1.2.*", "$study_instance_uid", "1.2 ", "1.2\n"]
)
@pytest.mark.parametrize(
    "make", [series_of_study, lambda uid: move_of_series(STUDY, uid), lambda uid: images_of_series(uid, SERIES)]
)
def test_R10_what_is_no_uid_gets_into_no_file(tools, tmp_path, make, uid):
    with pytest.raises(ValueError, match="not a UID"):
        make_query_file(tools, make(uid), str(tmp_path / "query"))
    assert not (tmp_path / "query.dcm").exists()


@given(text=st.text(st.characters(), min_size=1))
def test_R10_a_text_that_is_a_uid_or_nothing(text):
    if is_uid(text):
        assert f"(0020,000d) UI [{text}]" in series_of_study(text).text().splitlines()
    else:
        with pytest.raises(ValueError, match="not a UID"):
            series_of_study(text).text()


# Trouble


def test_a_folder_that_is_not_there_is_named(tools, tmp_path):
    with pytest.raises(UnusableError, match=r"none/query\.dump cannot be written: No such file or directory"):
        make_query_file(tools, series_of_study(STUDY), str(tmp_path / "none" / "query"))


def test_a_query_file_that_is_there_is_not_overwritten(tools, tmp_path):
    make_query_file(tools, series_of_study(STUDY), str(tmp_path / "query"))
    with pytest.raises(UnusableError, match="File exists"):
        make_query_file(tools, series_of_study(STUDY), str(tmp_path / "query"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["make-garbage", "make-unclosed", "make-wrong-number", "make-missing-folder"])
def test_a_dump2dcm_that_makes_no_file_is_named_whatever_its_exit_status(tmp_path, version, name):
    with pytest.raises(UnusableError) as error:
        make_query_file(played(version, name), series_of_study(STUDY), str(tmp_path / "query"))
    assert str(error.value) == f"dump2dcm made no query file in {tmp_path}: {sample(version, name).err[-1]}"


def test_a_silent_one_too(tmp_path):
    fake = fake_tool(tmp_path / "tools", "dump2dcm", "pass")
    with pytest.raises(UnusableError, match="it said nothing"):
        make_query_file(Toolbox({"dump2dcm": str(fake)}, {}), series_of_study(STUDY), str(tmp_path / "query"))


def test_a_template_that_cannot_be_read_is_one_line():
    with pytest.raises(UnusableError, match=r"the template missing\.dump of this program cannot be read: No such file"):
        Query("missing.dump", ()).text()
    with pytest.raises(UnusableError, match="missing"):
        _ = Query("missing.dump", ()).level


def test_of_a_line_without_end_the_beginning_is_told(tmp_path):
    path = fake_tool(tmp_path / "tools", "dump2dcm", "import sys; print('I: x' * 500_000); sys.exit(1)")
    tools = Toolbox({"dump2dcm": str(path)}, dict(os.environ))
    with pytest.raises(UnusableError) as error:
        make_query_file(tools, series_of_study(STUDY), str(tmp_path / "query"))
    text = str(error.value)
    assert text.startswith(f"dump2dcm made no query file in {tmp_path}: I: xI: x") and text.endswith("…")
    assert len(text) < 400 + len(str(tmp_path))
