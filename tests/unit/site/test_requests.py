"""The requests: which files are one, and how they are closed (R10, R26)."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dicom import is_uid
from scanner_mover.errors import UnusableError
from scanner_mover.site.disk import make_folder
from scanner_mover.site.requests import Request, age, close, scan
from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.10"
OTHER = "1.2.826.0.1.3680043.10.1561.11"

NO_UIDS = [
    *[
        "x",
        "README",
        f".{STUDY}",
        f"{STUDY}.",
        f"{STUDY}~",
        f"{STUDY}.swp",
        "1..2",
        "-1.2",
        "+1",
        "1,2",
        "1.2a",
        "1 .2",
    ],
    *["1.2 ", " 1.2", "1.2\n", "\n1.2", "1.2\t", "1.2\r", "1.2\\3", "１.２", "1.2٣", "²", "1.2\u200b", "1" * 65],
    *["a\nb", "it's", '"', "`touch pwned`", "$(touch pwned)", "; touch pwned", "| touch pwned", "*", "--help", "@list"],
    *["\udcff\udcfe", "\x1b[2J", "\u202e"],
]


@pytest.fixture
def active(tmp_path) -> Path:
    (tmp_path / "active-scans").mkdir()
    return tmp_path / "active-scans"


def put(path: Path, content: bytes = b"", modified: float = 1_700_000_000) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return str(path)


# What a UID is


@pytest.mark.parametrize("text", ["1", "0", "1.2.3", "01.002", "1.00", "00", STUDY, "1" * 64, "1." * 31 + "11"])
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


# Which files are requests


def test_R10_a_request_is_a_file_anywhere_below(active):
    put(active / STUDY)
    put(active / "monday" / "noon" / OTHER)
    put(active / ".hidden folder" / "1.3")
    put(active / "1.2.3" / "1.4")
    assert {request.study_instance_uid for request in scan(str(active)).requests} == {STUDY, OTHER, "1.3", "1.4"}


def test_R10_links_folders_and_pipes_are_no_requests(active, tmp_path):
    put(tmp_path / "elsewhere" / OTHER)
    (active / STUDY).symlink_to(tmp_path / "elsewhere" / OTHER)
    (active / "1.5").symlink_to("nowhere")
    (active / "folder").symlink_to(tmp_path / "elsewhere")
    (active / "circle").symlink_to(active)
    (active / "1.6").mkdir()
    os.mkfifo(active / "1.7")
    found = scan(str(active))
    assert (found.requests, found.not_uids, found.unreadable) == ([], [], [])


def test_R10_the_name_counts_and_the_content_does_not(active):
    file = put(active / STUDY, b"Doe^Jane\0\xff", modified=1_600_000_000)
    assert scan(str(active)).requests == [Request(STUDY, (file,), 1_600_000_000)]


def test_R10_leading_zeros_pass(active):
    put(active / "1.02.003")
    assert [request.study_instance_uid for request in scan(str(active)).requests] == ["1.02.003"]


def test_R10_the_same_uid_twice_is_one_request_as_old_as_its_newest_file(active):
    newer = put(active / "a" / STUDY, modified=2000)
    older = put(active / "b" / STUDY, modified=1000)
    assert scan(str(active)).requests == [Request(STUDY, (older, newer), 2000)]


def test_the_oldest_request_comes_first(active):
    for number, modified in ((1, 3000), (2, 1000), (3, 2000)):
        put(active / f"1.{number}", modified=modified)
    assert [request.study_instance_uid for request in scan(str(active)).requests] == ["1.2", "1.3", "1.1"]


@pytest.mark.parametrize("name", NO_UIDS, ids=ascii)
def test_R10_a_name_that_is_no_uid_is_no_request(active, name):
    put(active / name)
    found = scan(str(active))
    assert (found.requests, found.not_uids) == ([], [str(active / name)])


def test_no_folder_no_requests(tmp_path):
    found = scan(str(tmp_path / "none"))
    assert (found.requests, found.not_uids, found.unreadable) == ([], [], [])


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    found = scan(put(tmp_path / "active-scans"))
    assert found.unreadable == [f"the folder {tmp_path / 'active-scans'} cannot be read: Not a directory"]


# What the program does with names


def test_R10_names_that_are_no_uids_are_logged_once_each_in_one_line_and_left_alone(tmp_path):
    site = Site(tmp_path)
    for name in NO_UIDS:
        site.request(name, content=b"kept")
    before = site.tree("data")
    first, second = site.move(), site.move()
    assert [(done.returncode, done.stdout, done.stderr) for done in (first, second)] == [(0, "", "")] * 2
    lines = site.messages()
    assert lines[0] == lines[-1] == "move enabled, start getScans"
    told = lines[1:-1]
    assert len(told) == len(set(told)) == len(NO_UIDS)
    assert all(line.isprintable() and line.endswith(" is left alone: its name is no StudyInstanceUID") for line in told)
    assert site.tree("data") == before
    assert not list(tmp_path.rglob("pwned")) and not Path("pwned").exists()


def test_R10_a_new_one_is_logged_among_a_thousand_old_ones_alone(tmp_path):
    site = Site(tmp_path)
    for number in range(1200):
        site.request(f"stray{number}")
    assert site.move().returncode == 0
    site.request("new")
    assert site.move().returncode == 0
    told = [line for line in site.messages() if line.endswith("its name is no StudyInstanceUID")]
    assert len(told) == 1201
    assert told[-1].startswith(str(site.data / "active-scans" / "new "))


def test_R10_one_that_got_another_wrong_name_is_logged_too(tmp_path):
    """Its inode is the same, as a new file's may be that of one that was removed."""
    site = Site(tmp_path)
    stray = site.request(f"{STUDY}.txt")
    assert site.move().returncode == 0
    stray.rename(stray.with_name(f"{STUDY},"))
    assert site.move().returncode == 0
    told = [line for line in site.messages() if line.endswith("its name is no StudyInstanceUID")]
    assert [line.split(" is left alone")[0].rpartition("/")[2] for line in told] == [f"{STUDY}.txt", f"{STUDY},"]


def test_R10_no_name_reaches_a_shell_or_the_scanner(tmp_path):
    """With a request beside them, so that tools are started."""
    site = Site(tmp_path)
    site.request(STUDY)
    for name in NO_UIDS:
        site.request(name)
    assert site.move().returncode == 5
    assert [study["study"] for study in site.report()["studies"]] == [STUDY]
    assert not list(tmp_path.rglob("pwned")) and not Path("pwned").exists()


def test_R10_a_request_that_waits_keeps_its_content_and_its_time(tmp_path):
    site = Site(tmp_path)
    file = site.request(f"a/{STUDY}", age_seconds=1000, content=b"who asked\n")
    before = file.stat().st_mtime_ns
    assert site.move().returncode == 5
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (b"who asked\n", before)


# Age


def test_R24_a_request_is_as_old_as_its_newest_file_is_now(active):
    files = (put(active / "a" / STUDY, modified=1000), put(active / "b" / STUDY, modified=2000))
    request = Request(STUDY, files, 2000)
    assert age(request, 2500) == 500
    os.utime(files[0], (2400, 2400))
    assert age(request, 2500) == 100


def test_R24_a_time_in_the_future_is_age_0(active):
    file = put(active / STUDY, modified=time.time() + 1_000_000)
    assert age(Request(STUDY, (file,)), time.time()) == 0


def test_R24_a_request_that_was_taken_away_has_no_age(active):
    assert age(Request(STUDY, (str(active / STUDY),)), 1000) is None


# Closing


def closed(active: Path, *files: str) -> tuple[list[str], Path]:
    target = active.parent / "finished-scans"
    make_folder(str(target))
    return close(Request(STUDY, files), str(target)), target


def test_R22_a_closed_request_keeps_its_content_and_its_time(active):
    file = put(active / "sub" / STUDY, b"who asked\n", modified=1000)
    moved, target = closed(active, file)
    assert moved == [file] and not Path(file).exists()
    assert ((target / STUDY).read_bytes(), (target / STUDY).stat().st_mtime) == (b"who asked\n", 1000)


def test_R10_of_a_request_of_two_files_the_newest_is_kept(active):
    older, newer = put(active / "a" / STUDY, b"old", 1000), put(active / "b" / STUDY, b"new", 2000)
    moved, target = closed(active, older, newer)
    assert moved == [older, newer]
    assert [(path.name, path.read_bytes()) for path in target.iterdir()] == [(STUDY, b"new")]


def test_a_request_that_comes_again_takes_the_place_of_the_closed_one(active):
    _, target = closed(active, put(active / STUDY, b"first"))
    closed(active, put(active / STUDY, b"second"))
    assert [path.read_bytes() for path in target.iterdir()] == [b"second"]


def test_R25_a_file_that_was_taken_away_meanwhile_is_no_error(active):
    left = put(active / "b" / STUDY)
    moved, target = closed(active, str(active / "a" / STUDY), left)
    assert moved == [left]
    assert [path.name for path in target.iterdir()] == [STUDY]


def test_what_became_a_link_or_a_folder_meanwhile_is_not_moved(active, tmp_path):
    secret = put(tmp_path / "secret")
    (active / "a").mkdir()
    (active / "a" / STUDY).symlink_to(secret)
    (active / STUDY).mkdir()
    moved, target = closed(active, str(active / "a" / STUDY), str(active / STUDY))
    assert moved == [] and list(target.iterdir()) == []


def test_a_request_that_cannot_be_moved_stays(active):
    target = active.parent / "finished-scans"
    (target / STUDY).mkdir(parents=True)
    file = put(active / STUDY)
    with pytest.raises(UnusableError, match="cannot be moved to"):
        close(Request(STUDY, (file,)), str(target))
    assert Path(file).is_file()


def test_R26_the_folders_are_made(tmp_path):
    make_folder(str(tmp_path / "a" / "finished-scans"))
    assert (tmp_path / "a" / "finished-scans").is_dir()
    make_folder(str(tmp_path / "a" / "finished-scans"))


def test_R26_a_pass_makes_the_folders_before_anything_can_be_lost(tmp_path):
    site = Site(tmp_path)
    site.request(STUDY)
    assert site.move().returncode == 5
    assert (site.data / "finished-scans").is_dir() and (site.data / "failed-scans").is_dir()
    assert site.requests_in("active-scans") == [STUDY]


@pytest.mark.parametrize("name", ["finished-scans", "failed-scans"])
def test_R26_a_file_in_the_place_of_a_folder_costs_no_request(tmp_path, name):
    site = Site(tmp_path)
    site.request(STUDY, content=b"kept")
    (site.data / name).write_bytes(b"a request that the script renamed to this")
    done = site.move()
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1 and str(site.data / name) in done.stderr
    assert (site.data / "active-scans" / STUDY).read_bytes() == b"kept"
    assert (site.data / name).read_bytes() == b"a request that the script renamed to this"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnusableError, match=r"the folder .*/file/x cannot be made: Not a directory"):
        make_folder(str(tmp_path / "file" / "x"))


@pytest.fixture
def on_another_disk(tmp_path):
    """A folder on another file system."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert os.stat(folder).st_dev != os.stat(tmp_path).st_dev
        yield Path(folder)


def test_R22_a_request_moves_to_another_disk_and_obeys_no_file_that_lies_there(tmp_path, on_another_disk):
    path = tmp_path / "1.2.3"
    path.write_bytes(b"content")
    os.utime(path, (1000, 1000))
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in (".1.2.3.part", "1.2.3"):
        (on_another_disk / name).symlink_to(victim)
    assert close(Request("1.2.3", (str(path),), 1000), str(on_another_disk)) == [str(path)]
    moved = on_another_disk / "1.2.3"
    assert not path.exists() and not moved.is_symlink()
    assert (moved.read_bytes(), moved.stat().st_mtime) == (b"content", 1000)
    assert victim.read_bytes() == b"precious"
    assert sorted(one.name for one in on_another_disk.iterdir()) == [".1.2.3.part", "1.2.3"]
