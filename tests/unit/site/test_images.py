"""Which of the entries of a series' folder are images (R13)."""

import os
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site.images import Images, images_in
from tests.support.users import no_root, open_folder

__all__ = ["open_folder"]


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
    assert sorted(images_in(str(folder)).names) == ["1.2.3", "IM0001.dcm"]


def test_R13_a_link_that_leads_to_one_is_an_image(folder, elsewhere):
    (folder / "absolute").symlink_to(elsewhere / "full")
    (folder / "relative").symlink_to("../archive/full")
    (folder / "to a link").symlink_to("relative")
    os.link(elsewhere / "full", folder / "hard")
    assert sorted(images_in(str(folder)).names) == ["absolute", "hard", "relative", "to a link"]


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
    assert images_in(str(folder)).names == {"1.2.4"}


def test_R13_what_lies_in_folders_below_does_not_count(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "1.2.3").write_bytes(b"x")
    assert images_in(str(folder)) == Images()


def test_R13_without_a_folder_there_are_no_images(folder):
    assert images_in(str(folder)) == Images()
    assert images_in(str(folder / "none")) == Images()
    (folder / "file").touch()
    assert images_in(str(folder / "file")) == Images()


def test_a_folder_that_cannot_be_read_is_named_and_not_empty(tmp_path):
    circle = tmp_path / "series"
    circle.symlink_to(circle)
    with pytest.raises(UnusableError, match=r"the folder .*/series cannot be read: Too many levels of symbolic links"):
        images_in(str(circle))


def test_R13_a_file_of_0_bytes_is_told_with_the_time_since_which_it_is_so(folder, elsewhere):
    (folder / "full").write_bytes(b"x")
    (folder / "file").touch()
    os.utime(folder / "file", (1000, 1000.5))
    (folder / "link").symlink_to(elsewhere / "empty")
    os.utime(elsewhere / "empty", (2000, 2000))
    (folder / ".hidden").touch()
    (folder / "dangling").symlink_to("nowhere")
    assert images_in(str(folder)) == Images(frozenset({"full"}), {"file": 1000.5, "link": 2000.0})


def test_a_link_to_what_our_user_may_not_see_is_no_image_that_is_here(open_folder):
    (open_folder / "series").mkdir()
    (open_folder / "closed").mkdir()
    (open_folder / "closed" / "full").write_bytes(b"x")
    (open_folder / "series" / "closed").symlink_to("../closed/full")
    (open_folder / "series" / "open").write_bytes(b"x")
    (open_folder / "closed").chmod(0)
    with no_root():
        assert images_in(str(open_folder / "series")) == Images(frozenset({"open"}))
