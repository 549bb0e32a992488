"""Which of the entries of a series' folder are images (R13)."""

import os
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.images import image_names


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "series").mkdir()
    return tmp_path / "series"


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """Where the site's receiver keeps what the links of a series lead to."""
    (tmp_path / "archive" / "sub").mkdir(parents=True)
    (tmp_path / "archive" / "full").write_bytes(b"x")
    (tmp_path / "archive" / "empty").touch()
    return tmp_path / "archive"


def test_R13_a_file_of_more_than_0_bytes_is_an_image(folder):
    (folder / "1.2.3").write_bytes(b"x")
    (folder / "IM0001.dcm").write_bytes(b"x" * 1000)
    assert sorted(image_names(str(folder))) == ["1.2.3", "IM0001.dcm"]


def test_R13_a_link_that_leads_to_one_is_an_image(folder, elsewhere):
    (folder / "absolute").symlink_to(elsewhere / "full")
    (folder / "relative").symlink_to("../archive/full")
    (folder / "to a link").symlink_to("relative")
    os.link(elsewhere / "full", folder / "hard")
    assert sorted(image_names(str(folder))) == ["absolute", "hard", "relative", "to a link"]


@pytest.mark.parametrize(
    "make",
    [
        lambda path, _: path.touch(),
        lambda path, _: path.mkdir(),
        lambda path, _: path.symlink_to("nowhere"),
        lambda path, elsewhere: path.symlink_to(elsewhere / "empty"),
        lambda path, elsewhere: path.symlink_to(elsewhere / "sub"),
        lambda path, _: path.symlink_to(path),
        lambda path, _: os.mkfifo(path),
        lambda path, _: path.with_name(".1.2.3").write_bytes(b"x"),
        lambda path, _: path.with_name(".1.2.3.part").write_bytes(b"x"),
    ],
    ids=["empty", "folder", "dangling", "to empty", "to folder", "circle", "pipe", "hidden", "hidden part"],
)
def test_R13_anything_else_is_none(folder, elsewhere, make):
    make(folder / "1.2.3", elsewhere)
    (folder / "1.2.4").write_bytes(b"x")
    assert len(list(folder.iterdir())) == 2
    assert image_names(str(folder)) == ["1.2.4"]


def test_R13_what_lies_in_folders_below_does_not_count(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "1.2.3").write_bytes(b"x")
    assert image_names(str(folder)) == []


def test_R13_without_a_folder_there_are_no_images(folder):
    assert image_names(str(folder)) == []
    assert image_names(str(folder / "none")) == []
    (folder / "file").touch()
    assert image_names(str(folder / "file")) == []


def test_a_folder_that_cannot_be_read_is_named_and_not_empty(tmp_path):
    circle = tmp_path / "series"
    circle.symlink_to(circle)
    with pytest.raises(UnusableError, match=r"the folder .*/series cannot be read: Too many levels of symbolic links"):
        image_names(str(circle))
