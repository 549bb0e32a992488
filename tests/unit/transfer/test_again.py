"""Closed studies are requested again between two passes, and never over a request that is there."""

import os
from pathlib import Path

import pytest

from scanner_mover.errors import UnusableError
from scanner_mover.site import state
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.transfer import again
from scanner_mover.transfer.again import request_again
from scanner_mover.transfer.audit import ClosedStudy
from scanner_mover.transfer.history import study_from_json
from tests.support.site import held_by_flock

UIDS = ["1.2.9", "1.2.10", "1.2.11"]


@pytest.fixture
def folders(tmp_path) -> DataFolders:
    found = DataFolders(str(tmp_path / "data"))
    for path in (found.active_scans, found.finished_scans, found.failed_scans):
        os.makedirs(path)
    return found


@pytest.fixture
def server(tmp_path) -> ServerFolders:
    return ServerFolders(str(tmp_path / "server"), "ABCD")


def put(folder: str, uid: str, content: str = "") -> str:
    path = os.path.join(folder, uid)
    with open(path, "w") as file:
        file.write(content)
    return path


def test_requests_are_put_back_and_never_over_one_that_is_there(folders, server):
    closed = [ClosedStudy(uid, put(folders.finished_scans, uid, "kept")) for uid in UIDS]
    put(folders.active_scans, UIDS[1], "new")
    assert request_again(folders, server, closed) == (2, 1)
    contents = {uid: Path(folders.active_scans, uid).read_text() for uid in UIDS}
    assert contents == {UIDS[0]: "kept", UIDS[1]: "new", UIDS[2]: "kept"}
    assert os.listdir(folders.finished_scans) == [UIDS[1]]


def test_one_that_cannot_be_put_back_keeps_no_other_back_and_is_named(folders, server):
    gone = ClosedStudy(UIDS[0], os.path.join(folders.finished_scans, UIDS[0]))
    there = ClosedStudy(UIDS[1], put(folders.finished_scans, UIDS[1]))
    with pytest.raises(UnusableError, match=UIDS[0]):
        request_again(folders, server, [gone, there])
    assert os.listdir(folders.active_scans) == [UIDS[1]]


def test_while_a_pass_holds_the_lock_nothing_is_put_back_and_that_is_said(folders, server, tmp_path, monkeypatch):
    closed = [ClosedStudy(UIDS[0], put(folders.finished_scans, UIDS[0]))]
    lock = tmp_path / "server" / ".pids" / "moveFromScanner.lock"
    with held_by_flock(lock), monkeypatch.context() as patch:
        patch.setattr(again, "_LONGEST_WAIT_SECONDS", 0.05)
        with pytest.raises(UnusableError, match="a pass is running and holds the lock"):
            request_again(folders, server, closed)
    assert os.listdir(folders.active_scans) == []
    assert request_again(folders, server, closed) == (1, 0)


def test_R32_the_state_says_that_no_mpps_file_is_expected_of_those_that_were_put_back(folders, server):
    closed = [ClosedStudy(uid, put(folders.finished_scans, uid)) for uid in UIDS]
    put(folders.active_scans, UIDS[1])
    request_again(folders, server, closed)
    known, problem = state.load(server.state)
    assert problem is None
    assert sorted(known.requests) == sorted([UIDS[0], UIDS[2]])
    for value in known.requests.values():
        memory = study_from_json(value)
        assert memory is not None
        assert not memory.mpps_expected
