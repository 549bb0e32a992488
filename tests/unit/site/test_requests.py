"""The requests: which files are one, and how they are closed (R10, R26)."""

import contextlib
import os
import resource
import time
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site import request_file, requests
from scanner_mover.site.requests import Request, age, close, left_alone, put_back, scan, write
from tests.support.names import NO_UIDS

STUDY = "1.2.826.0.1.3680043.10.1561.10"
OTHER = "1.2.826.0.1.3680043.10.1561.11"


@pytest.fixture
def active(tmp_path) -> Path:
    (tmp_path / "active-scans").mkdir()
    return tmp_path / "active-scans"


def put(path: Path, content: bytes = b"", modified: float = 1_700_000_000) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return str(path)


def request_of(active: Path, *files: str) -> Request:
    """The request that FILES, oldest first, are."""
    found = [os.stat(file) for file in files]
    ids = tuple((one.st_dev, one.st_ino) for one in found)
    return Request(STUDY, files, found[-1].st_mtime, top=str(active), ids=ids)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
    assert scan(str(active)).requests == [request_of(active, file)]
    assert scan(str(active)).requests[0].modified == 1_600_000_000


def test_R10_leading_zeros_pass(active):
    put(active / "1.02.003")
    assert [request.study_instance_uid for request in scan(str(active)).requests] == ["1.02.003"]


def test_R10_the_same_uid_twice_is_one_request_as_old_as_its_newest_file(active):
    newer = put(active / "a" / STUDY, modified=2000)
    older = put(active / "b" / STUDY, modified=1000)
    assert scan(str(active)).requests == [request_of(active, older, newer)]


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


def test_a_folder_on_a_disk_that_is_not_there_is_named(tmp_path):
    (tmp_path / "active-scans").symlink_to(tmp_path / "disk" / "active-scans")
    found = scan(str(tmp_path / "active-scans"))
    assert found.unreadable == [f"the folder {tmp_path}/active-scans leads nowhere: is its disk mounted?"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    found = scan(put(tmp_path / "active-scans"))
    assert found.unreadable == [f"the folder {tmp_path / 'active-scans'} cannot be read: Not a directory"]


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
    target.mkdir(exist_ok=True)
    return close(Request(STUDY, files, top=str(active)), str(target)), target


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


# Closing, what somebody with little may do


def test_R10_two_hard_links_of_one_request_are_both_gone_after_it_was_closed(active):
    """What a killed `--audit --request` and `cp -al` leave: rename(2) does nothing with them and says Success."""
    finished = active.parent / "finished-scans"
    finished.mkdir()
    put(active / "a" / STUDY, b"content")
    os.link(active / "a" / STUDY, active / STUDY)
    os.link(active / STUDY, finished / STUDY)
    found = scan(str(active)).requests[0]
    assert sorted(close(found, str(finished))) == sorted(found.files)
    assert scan(str(active)).requests == []
    assert [path.read_bytes() for path in finished.iterdir()] == [b"content"]


def test_a_request_that_was_written_anew_meanwhile_is_left_to_the_next_pass(active, tmp_path):
    put(active / STUDY, b"old")
    found = scan(str(active)).requests[0]
    os.replace(put(tmp_path / "new", b"new"), active / STUDY)
    assert close(found, str(tmp_path / "finished-scans")) == []
    assert (active / STUDY).read_bytes() == b"new" and names_in(tmp_path / "finished-scans") == []


def test_a_request_that_was_written_anew_while_its_second_link_was_removed_stays(active, tmp_path, monkeypatch):
    put(active / STUDY, b"old")
    found = scan(str(active)).requests[0]
    real = os.rename

    def rename(*arguments, **more):
        real(*arguments, **more)
        put(active / STUDY, b"new")

    monkeypatch.setattr(os, "rename", rename)
    assert close(found, str(tmp_path / "finished-scans")) == [str(active / STUDY)]
    assert (active / STUDY).read_bytes() == b"new"
    assert (tmp_path / "finished-scans" / STUDY).read_bytes() == b"old"


def test_a_folder_that_became_a_link_meanwhile_moves_no_image_out_of_site_raw(active, tmp_path):
    image = Path(put(tmp_path / "site" / "raw" / "9.9" / STUDY, b"an image"))
    put(active / "folder" / STUDY)
    found = scan(str(active)).requests[0]
    (active / "folder").rename(tmp_path / "away")
    (active / "folder").symlink_to(image.parent)
    with pytest.raises(UnusableError, match=r"cannot be moved to .*: it is a link, which is not followed"):
        close(found, str(tmp_path / "finished-scans"))
    assert image.read_bytes() == b"an image" and names_in(tmp_path / "finished-scans") == []


def test_a_folder_that_becomes_a_link_while_it_is_scanned_is_not_entered(active, tmp_path, monkeypatch):
    put(tmp_path / "secret" / STUDY)
    (active / "folder").mkdir()
    real = requests._look_into

    def swap(top, below, *more):
        found = real(top, below, *more)
        if not below:
            (active / "folder").rmdir()
            (active / "folder").symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(requests, "_look_into", swap)
    found = scan(str(active))
    assert found.requests == []
    assert found.unreadable == [f"a folder below {active} cannot be read: it is a link, which is not followed"]


def test_the_folders_that_a_site_puts_elsewhere_by_a_link_are_followed(active, tmp_path):
    for name in ("active-scans", "finished-scans"):
        (tmp_path / "disk" / name).mkdir(parents=True)
    active.rmdir()
    for name in ("active-scans", "finished-scans"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    put(active / "sub" / STUDY)
    found = scan(str(active)).requests[0]
    assert found.files == (str(active / "sub" / STUDY),)
    assert close(found, str(tmp_path / "finished-scans")) == [str(active / "sub" / STUDY)]
    assert names_in(tmp_path / "disk" / "finished-scans") == [STUDY]


# What is odd in active-scans


def test_folders_that_lie_too_deep_are_told_and_the_others_are_read(active):
    put(active / STUDY)
    inner = active
    for _ in range(150):
        inner = inner / "1.2.3"
        inner.mkdir()
        put(inner / OTHER)
    found = scan(str(active))
    assert {request.study_instance_uid: len(request.files) for request in found.requests} == {STUDY: 1, OTHER: 100}
    assert len(found.unreadable) == 1
    assert found.unreadable[0].endswith("cannot be read: it lies more than 100 levels deep")


def test_a_folder_that_vanishes_while_it_is_scanned_is_none(active, monkeypatch):
    (active / "folder").mkdir()
    put(active / STUDY)
    real = requests._look_into

    def vanish(top, below, *more):
        if below:
            (active / "folder").rmdir()
        return real(top, below, *more)

    monkeypatch.setattr(requests, "_look_into", vanish)
    found = scan(str(active))
    assert (len(found.requests), found.unreadable) == (1, [])


def test_with_few_descriptors_all_is_scanned(active):
    put(active / "a" / "b" / STUDY, requests.NO_MPPS_EXPECTED)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, hard))
    try:
        found = scan(str(active))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [request.mpps_expected for request in found.requests] == [False]


def test_R10_what_the_log_says_about_other_names(active):
    paths = [str(active / name) for name in ("1.2.3.txt", "SECRET^JOHN", "notes")]
    assert left_alone(str(active), paths) == [
        f"{active}/1.2.3.txt is left alone: its name is no StudyInstanceUID",
        f"2 files in {active} are left alone: their names are no StudyInstanceUIDs",
    ]


# R32


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"mpps": "not expected"}', False),
        (b'{"mpps": "not expected"}\n', False),
        (b'\xef\xbb\xbf{"mpps":"not expected"}\r\n', False),
        (b'{"mpps": "expected"}     ', True),
        (b'{"mpps": "not expected", "by": 1}', True),
        (b'{"mpps": "not expected"' + b" " * 80, True),
        (b'["mpps", "not expected"]', True),
        (b"[" * 60, True),
        (b"\xff" * 30, True),
        (b"", True),
        (b"x" * 24, True),
    ],
)
def test_R32_a_request_says_by_its_content_that_there_is_no_mpps_file(active, content, expected):
    put(active / STUDY, content)
    assert scan(str(active)).requests[0].mpps_expected is expected


@pytest.mark.parametrize("other", [b"", requests.NO_MPPS_EXPECTED])
def test_R32_of_two_files_both_must_say_so(active, other):
    put(active / "a" / STUDY, requests.NO_MPPS_EXPECTED)
    put(active / "b" / STUDY, other)
    assert scan(str(active)).requests[0].mpps_expected is (other == b"")


@pytest.mark.parametrize("mpps_expected", [True, False])
def test_R32_a_request_is_written_never_over_one_that_is_there(tmp_path, mpps_expected):
    active = tmp_path / "active-scans"
    assert write(str(active), STUDY, mpps_expected=mpps_expected) is True
    assert scan(str(active)).requests[0].mpps_expected is mpps_expected
    assert (active / STUDY).read_bytes() == (b"" if mpps_expected else b'{"mpps": "not expected"}')
    (active / STUDY).write_bytes(b"kept")
    assert write(str(active), STUDY, mpps_expected=mpps_expected) is False
    assert ((active / STUDY).read_bytes(), names_in(active)) == (b"kept", [STUDY])


def test_a_request_has_the_rights_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write(str(tmp_path), STUDY, mpps_expected=False)
    finally:
        os.umask(old)
    assert (tmp_path / STUDY).stat().st_mode & 0o777 == 0o640


def test_a_request_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / STUDY).mkdir()
    with pytest.raises(UnusableError, match=rf"{STUDY} cannot be written: what is there is not a regular file"):
        write(str(tmp_path), STUDY, mpps_expected=True)
    (tmp_path / "file").touch()
    with pytest.raises(UnusableError, match="cannot be made: "):
        write(str(tmp_path / "file" / "active-scans"), STUDY, mpps_expected=True)


# Another file system


@contextlib.contextmanager
def full_disk():
    """Nothing longer than 4,096 bytes can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_R22_a_request_moves_to_another_disk_and_obeys_no_file_that_lies_there(tmp_path, on_another_disk):
    path = Path(put(tmp_path / "1.2.3", b"content", modified=1000))
    path.chmod(0o640)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in (".1.2.3.part", "1.2.3"):
        (on_another_disk / name).symlink_to(victim)
    assert close(Request("1.2.3", (str(path),), 1000), str(on_another_disk)) == [str(path)]
    moved = on_another_disk / "1.2.3"
    assert not path.exists() and not moved.is_symlink()
    assert (moved.read_bytes(), moved.stat().st_mtime, moved.stat().st_mode & 0o777) == (b"content", 1000, 0o640)
    assert victim.read_bytes() == b"precious"
    assert names_in(on_another_disk) == [".1.2.3.part", "1.2.3"]


def test_a_full_disk_costs_no_request_and_leaves_no_part(active, on_another_disk):
    put(active / STUDY, b"x" * 10_000)
    found = scan(str(active)).requests[0]
    for _ in range(3):
        with full_disk(), pytest.raises(UnusableError, match=f"{STUDY} cannot be moved to .*: File too large"):
            close(found, str(on_another_disk))
    assert names_in(on_another_disk) == []
    assert (active / STUDY).stat().st_size == 10_000
    assert close(found, str(on_another_disk)) == [str(active / STUDY)]


def test_parts_that_somebody_who_was_killed_left_are_removed_and_others_are_not(active, on_another_disk):
    left, other, strange = f".{STUDY}.0123456789abcdef.part", f".{OTHER}.0123456789abcdef.part", f".{STUDY}.part"
    for name in (left, other, strange):
        put(on_another_disk / name)
    used, descriptor = request_file._new_part(folder := os.open(on_another_disk, os.O_RDONLY), STUDY)
    os.close(folder)
    put(active / STUDY)
    close(scan(str(active)).requests[0], str(on_another_disk))
    assert names_in(on_another_disk) == sorted([STUDY, other, strange, used])
    os.close(descriptor)


def test_a_part_in_active_scans_is_neither_a_request_nor_told(active):
    put(active / f".{STUDY}.0123456789abcdef.part")
    assert scan(str(active)) == ([], [], [])


# Putting back


@pytest.fixture(params=["same disk", "another disk", "no hard links"])
def finished(request, tmp_path, monkeypatch):
    """A finished-scans with an old request in it, which is put back from different file systems."""
    folder = tmp_path / "finished-scans"
    if request.param == "another disk":
        folder = request.getfixturevalue("on_another_disk")
    elif request.param == "no hard links":

        def link(*_, **__):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    put(folder / STUDY, b"content", modified=1000)
    return folder


def test_a_closed_request_is_put_back_with_its_content_and_a_fresh_time(active, finished):
    assert put_back(str(finished / STUDY), str(active)) is True
    assert names_in(finished) == [] and names_in(active) == [STUDY]
    assert (active / STUDY).read_bytes() == b"content"
    assert time.time() - (active / STUDY).stat().st_mtime < 100


def test_one_that_is_requested_again_already_stays(active, finished):
    put(active / STUDY, b"new", modified=2000)
    assert put_back(str(finished / STUDY), str(active)) is False
    assert (active / STUDY).read_bytes() == b"new" and (active / STUDY).stat().st_mtime == 2000
    assert (finished / STUDY).read_bytes() == b"content" and names_in(active) == [STUDY]


def test_one_whose_move_was_cut_by_a_kill_is_moved_to_its_end(active, tmp_path):
    put(tmp_path / "finished-scans" / STUDY)
    os.link(tmp_path / "finished-scans" / STUDY, active / STUDY)
    assert put_back(str(tmp_path / "finished-scans" / STUDY), str(active)) is True
    assert names_in(tmp_path / "finished-scans") == [] and names_in(active) == [STUDY]


def test_putting_back_on_a_full_disk_costs_no_request_and_leaves_no_part(active, on_another_disk):
    closed_one = put(on_another_disk / STUDY, b"x" * 10_000)
    for _ in range(3):
        with full_disk(), pytest.raises(UnusableError, match=f"{STUDY} cannot be moved to .*: File too large"):
            put_back(closed_one, str(active))
    assert names_in(active) == [] and names_in(on_another_disk) == [STUDY]
    put(active / f".{STUDY}.0123456789abcdef.part", b"left by a kill")
    assert put_back(closed_one, str(active)) is True
    assert names_in(active) == [STUDY]


@pytest.mark.parametrize("what", ["link", "folder", "nothing"])
def test_only_a_file_is_put_back(active, tmp_path, what):
    path = tmp_path / STUDY
    if what == "link":
        path.symlink_to(put(tmp_path / "secret"))
    elif what == "folder":
        path.mkdir()
    with pytest.raises(UnusableError, match=f"{STUDY} cannot be moved to "):
        put_back(str(path), str(active))
    assert names_in(active) == []
