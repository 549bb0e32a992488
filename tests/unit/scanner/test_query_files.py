"""Query files that are stamped out of one that the real dump2dcm made: the same as if it had made each."""

from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner_mover.dcmtk.dump2dcm import (
    Query,
    images_of_series,
    make_query_file,
    move_of_series,
    moves_of_images,
    series_of_study,
)
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.query_files import QueryFiles
from tests.support.site import real_tools

STUDY = "1.2.826.0.1.3680043.10.1561.51"
OTHER = "1.2.826.0.1.3680043.10.1561.52"


class Counting(Toolbox):
    """The real tools; counts how often one is run."""

    runs: list[str]

    def run(self, name, arguments, **more):
        self.runs.append(name)
        return super().run(name, arguments, **more)


@pytest.fixture(scope="module")
def tools() -> Counting:
    real = real_tools("dump2dcm")
    counting = Counting(real.paths, real.environment)
    object.__setattr__(counting, "runs", [])
    return counting


@pytest.fixture
def files(tools, tmp_path) -> QueryFiles:
    tools.runs.clear()
    return QueryFiles(tools, str(tmp_path))


def content(path: str | Path) -> bytes:
    """What is in the file but for the UID of itself, which dump2dcm makes anew each time."""
    # The first data element after the file meta information, by its tag.
    whole = Path(path).read_bytes()
    return whole[whole.index(b"\x08\0\x52\0CS") :]


def uids():
    groups = st.lists(st.integers(0, 99999).map(str), min_size=1, max_size=10)
    return groups.map(".".join).filter(lambda uid: len(uid) <= 64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=8)
@given(study=uids(), series=uids(), which=st.integers(0, 2))
def test_R11_R15_they_are_what_dump2dcm_makes_byte_for_byte(tools, tmp_path_factory, study, series, which):
    folder = tmp_path_factory.mktemp("queries")
    query = [series_of_study(study), images_of_series(study, series), move_of_series(study, series)][which]
    stamped = QueryFiles(tools, str(folder)).file(query)
    assert content(stamped) == content(make_query_file(tools, query, str(folder / "made")))


def test_one_is_made_for_each_shape(files, tools):
    queries = [series_of_study(f"{STUDY}.{number}") for number in range(10, 60)]
    queries += [images_of_series(STUDY, f"{STUDY}.{number}") for number in range(100, 150)]
    made = [pydicom.dcmread(files.file(query)) for query in queries]
    assert tools.runs == ["dump2dcm", "dump2dcm"]
    assert [str(one.StudyInstanceUID) for one in made[:50]] == [f"{STUDY}.{number}" for number in range(10, 60)]
    assert [str(one.SeriesInstanceUID) for one in made[50:]] == [f"{STUDY}.{number}" for number in range(100, 150)]
    assert {one.QueryRetrieveLevel for one in made[50:]} == {"IMAGE"}


def test_a_uid_of_odd_length_and_the_next_even_one_have_the_same_shape(files, tools):
    assert len(STUDY) % 2 == 0
    odd = pydicom.dcmread(files.file(series_of_study(STUDY[:-1])))
    even = pydicom.dcmread(files.file(series_of_study(STUDY)))
    assert (odd.StudyInstanceUID, even.StudyInstanceUID) == (STUDY[:-1], STUDY)
    assert tools.runs == ["dump2dcm"]


def test_short_uids_and_those_that_stand_in_are_right_too(files):
    for uid in ["1", "12", "77", "1.7", "88", "7" * 30, "8" * 30]:
        made = pydicom.dcmread(files.file(images_of_series(uid, STUDY)))
        assert (made.StudyInstanceUID, made.SeriesInstanceUID) == (uid, STUDY)
        made = pydicom.dcmread(files.file(images_of_series(STUDY, uid)))
        assert (made.StudyInstanceUID, made.SeriesInstanceUID) == (STUDY, uid)


def test_lists_and_texts_are_each_made_by_dump2dcm(files, tools):
    (query,) = moves_of_images(STUDY, f"{STUDY}.1", [f"{STUDY}.1.1", f"{STUDY}.1.2"])
    assert files.file(query) != files.file(query)
    assert tools.runs == ["dump2dcm", "dump2dcm"]


def test_R10_what_is_no_uid_gets_into_no_file(files):
    files.file(series_of_study(STUDY))
    for uid in ["x", "../x", "1.2\n", "1..2", "1" * 65]:
        for query in (series_of_study(uid), Query("series_find.dump", (("study_instance_uid", uid),))):
            with pytest.raises(ValueError, match="not a UID"):
                files.file(query)


def test_a_folder_that_went_away_is_named(files, tmp_path):
    files.file(series_of_study(STUDY))
    for path in list(tmp_path.iterdir()):
        path.unlink()
    tmp_path.rmdir()
    with pytest.raises(UnusableError, match=r"query\d\.dcm cannot be written: No such file or directory"):
        files.file(series_of_study(OTHER))
