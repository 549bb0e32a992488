"""The progress of a retrieve: which files of a staging folder count, and how often each of them is read."""

import pytest

from scanner_mover.scanner import growth
from scanner_mover.scanner.growth import Growth

STUDY = "1.2.826.0.1.3680043.10.1561.12"
OTHER = "1.2.826.0.1.3680043.10.1561.13"
FIRST_LOOK = 64 << 10


def image(study: str, before: int = 0, size: int = 0) -> bytes:
    """A file that names STUDY after BEFORE bytes, filled up to SIZE."""
    return (bytes(before) + b"\x20\x00\x0d\x00UI\x1e\x00" + study.encode()).ljust(size, b"\0")


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """How many bytes each look at a header had."""
    lengths, search = [], growth.header.search

    def counted(beginning: bytes):
        lengths.append(len(beginning))
        return search(beginning)

    monkeypatch.setattr(growth.header, "search", counted)
    return lengths


@pytest.fixture
def growing(tmp_path) -> Growth:
    return Growth(str(tmp_path), [STUDY])


def test_a_folder_that_is_not_there_or_is_empty_has_nothing(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        here = Growth(str(folder), [STUDY])
        assert here.of_requested() == (0, 0)


def test_what_is_hidden_or_no_image_does_not_count(tmp_path, growing):
    (tmp_path / "a").write_bytes(image(STUDY, size=100))
    (tmp_path / "b").write_bytes(b"no DICOM")
    (tmp_path / "c").touch()
    (tmp_path / ".hidden").write_bytes(image(STUDY, size=1000))
    assert growing.of_requested() == (1, 100)


def test_files_of_requested_studies_only(tmp_path):
    for name, study in (("a", STUDY), ("b", OTHER), ("c", f"{STUDY}.1"), ("d", "1.2.3")):
        (tmp_path / name).write_bytes(image(study, size=100))
    assert Growth(str(tmp_path), [STUDY, "1.2.3"]).of_requested() == (2, 200)
    assert Growth(str(tmp_path), []).of_requested() == (0, 0)


def test_a_study_that_a_sequence_names_first_hides_no_other(tmp_path, growing):
    (tmp_path / "a").write_bytes(image(OTHER, size=100) + image(STUDY, size=100))
    assert growing.of_requested() == (1, 200)


@pytest.mark.parametrize("kind", ["dangling", "folder"])
def test_what_cannot_be_read_is_of_no_study(tmp_path, growing, kind):
    (tmp_path / "a").write_bytes(image(STUDY, size=100))
    if kind == "dangling":
        (tmp_path / "b").symlink_to(tmp_path / "none")
    else:
        (tmp_path / "b").mkdir()
    assert growing.of_requested() == (1, 100)


def test_what_goes_away_no_longer_counts(tmp_path, growing):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(image(STUDY, size=100))
    assert growing.of_requested() == (2, 200)
    (tmp_path / "a").unlink()
    assert growing.of_requested() == (1, 100)


def test_a_file_that_is_known_grows_without_being_read_again(tmp_path, growing, reads):
    for size in (100, 1000, 5000):
        (tmp_path / "a").write_bytes(image(STUDY, size=size))
        assert growing.of_requested() == (1, size)
    assert reads == [100]


def test_a_file_of_another_study_is_read_again_when_it_has_twice_as_much(tmp_path, growing, reads):
    for size in (100, 100, 199, 200, 399, 400):
        (tmp_path / "a").write_bytes(image(OTHER, size=size))
        assert growing.of_requested() == (0, 0)
    assert reads == [100, 200, 400]


def test_an_empty_file_is_read_once_until_something_comes(tmp_path, growing, reads):
    (tmp_path / "a").touch()
    for _ in range(2):
        assert growing.of_requested() == (0, 0)
    assert reads == [0]
    (tmp_path / "a").write_bytes(image(STUDY, size=100))
    assert growing.of_requested() == (1, 100)


def test_each_file_is_looked_at_on_its_own(tmp_path, growing, reads):
    (tmp_path / "a").write_bytes(image(OTHER, size=500))
    assert growing.of_requested() == (0, 0)
    (tmp_path / "b").write_bytes(image(STUDY, size=100))
    assert growing.of_requested() == (1, 100)
    assert reads == [500, 100]


def test_a_long_header_is_read_in_full_from_the_second_look_on(tmp_path, growing, reads):
    (tmp_path / "a").write_bytes(image(STUDY, before=FIRST_LOOK, size=100_000))
    assert growing.of_requested() == (0, 0)
    (tmp_path / "a").write_bytes(image(STUDY, before=FIRST_LOOK, size=200_000))
    assert growing.of_requested() == (1, 200_000)
    assert reads == [FIRST_LOOK, 200_000]


def test_no_more_is_read_than_a_header_can_need(tmp_path, growing, reads, monkeypatch):
    monkeypatch.setattr(growth.header, "MOST_BYTES", 1000)
    for size in (600, 1200, 2400, 4800):
        (tmp_path / "a").write_bytes(image(STUDY, before=1000, size=size) if size > 1000 else bytes(size))
        assert growing.of_requested() == (0, 0)
    assert reads == [600, 1000]
