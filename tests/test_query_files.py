"""Query files that the real dump2dcm makes once, and what may happen to them between two passes."""

from pathlib import Path

import pydicom
import pytest

from scanner_mover.dcmtk.dump2dcm import Query, images_of_series, move_of_series, series_of_study
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.query_files import QueryFiles
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
def a_pass(tools, tmp_path):
    """What one pass over the queries does: gives the studies in the files that it gets, and how many were made."""
    number = iter(range(100))

    def a_pass(*queries: Query, forget: bool = True) -> tuple[list[str], int]:
        work = tmp_path / f"work{next(number)}"
        work.mkdir()
        tools.runs.clear()
        files = QueryFiles(tools, str(work), str(tmp_path / "kept"))
        studies = [str(pydicom.dcmread(files.lasting(query)).StudyInstanceUID) for query in queries]
        if forget:
            files.forget_others()
        return studies, len(tools.runs)

    return a_pass


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "kept").iterdir())


def test_a_query_is_made_once(a_pass):
    queries = [series_of_study(STUDY), series_of_study(OTHER), images_of_series(STUDY, STUDY + ".1")]
    assert a_pass(*queries) == ([STUDY, OTHER, STUDY], 3)
    assert a_pass(*queries) == ([STUDY, OTHER, STUDY], 0)


def test_one_that_no_pass_needs_any_more_goes(a_pass, tmp_path):
    a_pass(series_of_study(STUDY), series_of_study(OTHER))
    a_pass(series_of_study(OTHER))
    assert len(kept(tmp_path)) == 1
    assert a_pass(series_of_study(STUDY)) == ([STUDY], 1)


@pytest.mark.parametrize("damage", [b"", b"\0" * 300, "cut", "another"])
def test_one_that_was_damaged_is_never_sent(a_pass, tmp_path, damage):
    a_pass(series_of_study(STUDY), series_of_study(OTHER))
    first, second = kept(tmp_path)
    if damage == "another":
        first.write_bytes(second.read_bytes())
    else:
        first.write_bytes(first.read_bytes()[:-8] if damage == "cut" else damage)
    assert a_pass(series_of_study(STUDY), series_of_study(OTHER)) == ([STUDY, OTHER], 1)
    assert a_pass(series_of_study(STUDY), series_of_study(OTHER)) == ([STUDY, OTHER], 0)


def test_strange_files_in_the_folder_do_no_harm(a_pass, tmp_path):
    (tmp_path / "kept").mkdir()
    for name in ("x", "..y", "1.2.3"):
        (tmp_path / "kept" / name).write_bytes(b"x")
    (tmp_path / "kept" / "folder").mkdir()
    assert a_pass(series_of_study(STUDY)) == ([STUDY], 1)
    assert a_pass(series_of_study(STUDY)) == ([STUDY], 0)


def test_where_nothing_can_be_kept_everything_works(a_pass, tmp_path):
    (tmp_path / "kept").write_bytes(b"a file")
    for _ in range(2):
        assert a_pass(series_of_study(STUDY)) == ([STUDY], 1)


def test_the_folder_is_private(a_pass, tmp_path):
    a_pass(series_of_study(STUDY))
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_a_query_for_once_is_not_kept(tools, tmp_path):
    (tmp_path / "work").mkdir()
    files = QueryFiles(tools, str(tmp_path / "work"), str(tmp_path / "kept"))
    one, two = (files.once(move_of_series(STUDY, STUDY + ".1")) for _ in range(2))
    assert one != two
    assert Path(one).parent == Path(two).parent == tmp_path / "work"
    assert kept(tmp_path) == []
