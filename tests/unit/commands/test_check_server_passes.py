"""What `status --check` says of owners, disk, clock and passes, with users, disks and clocks that the test makes up."""

import os
import time
from types import SimpleNamespace

import pytest

from scanner_mover.commands import check_server
from scanner_mover.commands.check_line import Finding, Verdict, fix, ok
from scanner_mover.errors import ExitStatus
from scanner_mover.site.folders import DataFolders, ServerFolders
from scanner_mover.site.state import State, save
from scanner_mover.transfer.faults import FIND, SCANNER
from scanner_mover.transfer.reported import Reported, to_json
from tests.support.receiving import settings
from tests.unit.display.overviews import overview

USERS = {0: "root", 1001: "mover", 1002: "two words"}


@pytest.fixture
def folders(tmp_path) -> DataFolders:
    made = DataFolders(str(tmp_path / "data"))
    for path in made.all():
        os.makedirs(path, exist_ok=True)
    return made


@pytest.fixture
def server(tmp_path) -> ServerFolders:
    made = ServerFolders(str(tmp_path / "server"), "ABCD")
    for path in (made.pids, os.path.dirname(made.log)):
        os.makedirs(path)
    return made


@pytest.fixture(autouse=True)
def users(monkeypatch) -> None:
    """Users of this machine, and we are `mover`."""
    monkeypatch.setattr(check_server, "pwd", SimpleNamespace(getpwuid=lambda uid: SimpleNamespace(pw_name=USERS[uid])))
    monkeypatch.setattr(os, "geteuid", lambda: 1001)


# Folders


@pytest.fixture
def closed(monkeypatch) -> set[str]:
    """The folders that we may neither read nor write, whoever runs the tests."""
    closed: set[str] = set()
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed)
    return closed


def test_the_folders_that_we_write_and_those_that_we_read(folders, server, closed):
    written = [folders.active_scans, folders.finished_scans, folders.failed_scans, server.pids]
    written.append(os.path.dirname(server.log))
    told = list(check_server.folders(settings(receive=False), folders, server))
    read = [ok(f"{path} can be read") for path in (folders.scanner, folders.raw)]
    assert told == [*(ok(f"{path} can be written") for path in written), *read]
    told = list(check_server.folders(settings(receive=True), folders, server))
    assert told == [*(ok(f"{path} can be written") for path in (*written, folders.raw)), read[0]]


def fixes(findings) -> list[str]:
    return [finding.text for finding in findings if finding.verdict is Verdict.FIX]


@pytest.mark.parametrize("receive", [True, False])
def test_a_folder_that_we_may_not_use_is_named_with_our_user(folders, server, closed, receive):
    closed.update([folders.raw, server.pids, folders.scanner])
    told = fixes(check_server.folders(settings(receive=receive), folders, server))
    assert set(told) == {
        f"{server.pids} cannot be written by mover: chown or chmod it",
        f"{folders.scanner} cannot be read by mover: chmod it",
        f"{folders.raw} cannot be written by mover: chown or chmod it"
        if receive
        else f"{folders.raw} cannot be read by mover: chmod it",
    }


def test_a_folder_that_is_not_there_is_made_where_we_may(folders, server, closed):
    os.rmdir(folders.finished_scans)
    os.rmdir(folders.failed_scans)
    told = list(check_server.folders(settings(receive=True), folders, server))
    assert ok(f"{folders.finished_scans} is not there yet and will be made") in told
    assert fixes(told) == []
    closed.add(folders.data_dir)
    told = fixes(check_server.folders(settings(receive=True), folders, server))
    assert told == [
        f"{path} is not there and cannot be made: make it for mover"
        for path in (folders.finished_scans, folders.failed_scans)
    ]


def test_of_a_folder_whose_parents_are_missing_too_the_first_that_is_there_decides(server, closed, tmp_path):
    folders = DataFolders(str(tmp_path / "not" / "mounted"))
    unmade = [folders.active_scans, folders.finished_scans, folders.failed_scans, folders.raw]
    told = list(check_server.folders(settings(receive=True), folders, server))
    assert [ok(f"{path} is not there yet and will be made") for path in unmade] == [*told[:3], told[5]]
    closed.add(str(tmp_path))
    told = list(check_server.folders(settings(receive=True), folders, server))
    assert [fix(f"{path} is not there and cannot be made: make it for mover") for path in unmade] == [
        *told[:3],
        told[5],
    ]


@pytest.mark.parametrize("receive", [True, False])
def test_a_folder_that_another_program_writes_is_not_ours_to_make(folders, server, closed, receive):
    os.rmdir(folders.raw)
    os.rmdir(folders.scanner)
    others = (folders.scanner,) if receive else (folders.scanner, folders.raw)
    told = fixes(check_server.folders(settings(receive=receive), folders, server))
    assert told == [f"{path} is not there: make it for the program that writes into it" for path in others]


# Owners


@pytest.fixture
def owners(monkeypatch, folders, server):
    """The findings for files that are there and belong to these users, all others to `mover`; root asks for UID 0."""

    def owners(others: dict[str, int], *, uid: int = 1001, receive: bool = False) -> list[Finding]:
        def stat(path: str) -> SimpleNamespace:
            return SimpleNamespace(st_uid=others.get(path, 1001))

        monkeypatch.setattr(check_server, "os", SimpleNamespace(geteuid=lambda: uid, stat=stat, path=os.path))
        return list(check_server.owners(settings(receive=receive), folders, server))

    return owners


ALL_OURS = [ok("log, lock, state and requests belong to mover")]


def test_files_of_our_own_need_nothing_and_root_is_told_so_too(owners):
    assert owners({}) == ALL_OURS
    assert owners({}, uid=0) == ALL_OURS


@pytest.mark.parametrize("which", ["log", "lock", "state", "pids"])
def test_a_file_of_another_user_comes_with_the_command_that_mends_it(owners, server, which):
    path = getattr(server, which)
    if which != "pids":
        open(path, "w").close()
    assert owners({path: 0}) == [fix(f"{path} belongs to root: chown mover {path}")]


def test_whoever_owns_the_requests_we_who_are_not_root_make_the_passes(owners, folders):
    path = folders.active_scans
    assert owners({path: 0}) == [fix(f"{path} belongs to root: chown mover {path}")]


def test_what_is_not_there_belongs_to_nobody(owners, server):
    assert owners({server.log: 0, server.lock: 0, server.state: 0}) == ALL_OURS


def test_for_root_the_user_who_owns_the_requests_is_the_one_that_makes_the_passes(owners, server, folders):
    assert owners({folders.active_scans: 4242, server.pids: 0}, uid=0)[:1] == [
        fix(f"{server.pids} belongs to root: chown 4242 {server.pids}")
    ]
    os.rmdir(folders.active_scans)
    assert owners({server.pids: 1002}, uid=0)[0] == fix(f"{server.pids} belongs to two words: chown root {server.pids}")


@pytest.mark.parametrize("receive", [True, False])
def test_the_folder_of_images_must_be_ours_where_we_receive(owners, folders, receive):
    told = owners({folders.raw: 0}, receive=receive)
    assert told == ([fix(f"{folders.raw} belongs to root: chown mover {folders.raw}")] if receive else ALL_OURS)


# The switch, the disk and the clock


def test_R6_a_switch_in_its_old_place_is_named_with_the_command_that_moves_it(folders):
    old = os.path.join(folders.data_dir, "enabled")
    open(old, "w").close()
    assert list(check_server.switch(settings(), folders)) == [
        fix(f"the switch is {folders.enabled}, and only the old one is there: mv {old} {folders.enabled}")
    ]


@pytest.mark.parametrize(("free", "is_wrong"), [(5 << 20, True), ((6 << 20) - 1, True), (6 << 20, False)])
def test_the_free_space_is_compared_with_the_reserve(monkeypatch, folders, free, is_wrong):
    monkeypatch.setattr(check_server, "free_bytes", {folders.raw: free}.get)
    told = list(check_server.disk(settings(reserve_bytes=6 << 20), folders))
    line = f"{free} bytes are free for {folders.raw}, below reserve_bytes: make room, or nothing is retrieved"
    assert told == [fix(line) if is_wrong else ok(f"6 MiB are free for {folders.raw}, 6 are kept in reserve")]


@pytest.mark.parametrize(("ahead", "is_wrong"), [(0, False), (4, False), (-4, False), (60, True), (-3600, True)])
def test_a_file_server_with_another_time_is_named(monkeypatch, server, ahead, is_wrong):
    monkeypatch.setattr(check_server, "time", SimpleNamespace(time=lambda: time.time() - ahead))
    folder = os.path.dirname(server.log)
    wrong = fix(f"the clock of {folder} differs from this machine's by {ahead} seconds: run NTP on both")
    assert list(check_server.clock(server)) == [wrong if is_wrong else ok(f"the clock of {folder} is this machine's")]
    assert os.listdir(folder) == []


def test_the_clock_of_a_folder_that_we_may_not_write_is_no_line(server, closed):
    closed.add(os.path.dirname(server.log))
    assert list(check_server.clock(server)) == []


# Passes


@pytest.fixture
def passes(monkeypatch, server):
    """The findings for this state of the lock and this age of the last pass in seconds."""

    def passes(running: bool | None, age: float | None, **changes: object) -> list[Finding]:
        times = {"looked_at": 10_000.0, "last_pass_at": None if age is None else 10_000.0 - age}
        monkeypatch.setattr(check_server, "is_locked", lambda path: running if path == server.lock else None)
        monkeypatch.setattr(check_server, "look", lambda *_: overview(**times, **changes))
        return list(check_server.passes(settings(), server))

    return passes


CRON = "call moveFromScanner.sh from cron every 15 seconds, or switch on the timer"


@pytest.mark.parametrize(
    ("running", "age", "last"),
    [
        (False, 0, ok("the last pass began 0 seconds ago")),
        (False, 120, ok("the last pass began 120 seconds ago")),
        (False, 121, fix(f"the last pass began 121 seconds ago: {CRON}")),
        (None, 121, fix(f"the last pass began 121 seconds ago: {CRON}")),
        (True, 7000, ok("the last pass began 7000 seconds ago")),
        (False, None, fix(f"there was no pass yet: {CRON}")),
        (None, None, fix(f"there was no pass yet: {CRON}")),
        (True, None, ok("the last pass began 0 seconds ago")),
    ],
)
def test_whether_passes_are_made(passes, running, age, last):
    assert passes(running, age)[-1] == last


@pytest.mark.parametrize(
    ("running", "what"),
    [(True, "a pass holds it now"), (False, "free"), (None, "who holds it cannot be seen here")],
)
def test_who_holds_the_lock(passes, server, running, what):
    assert passes(running, 10)[:-1] == [ok(f"the lock {server.lock}: {what}")]


def test_a_pass_that_hangs_and_files_that_are_no_requests_are_to_be_looked_at(passes):
    told = passes(True, 7000, hangs="the pass hangs: kill 4242", left_alone=("a.dcm is no request", "b is none"))
    assert told[:-1] == [fix("the pass hangs: kill 4242"), fix("a.dcm is no request"), fix("b is none")]


def test_what_the_last_pass_reported_is_repeated_but_not_whether_the_scanner_answers(server):
    state = State()
    state.faults = to_json(
        Reported(group, group, f"{group} is wrong", 1000.0, False, exit_status=ExitStatus.SCANNER)
        for group in ("disk", SCANNER, FIND)
    )
    save(state, server.state, server.new_part())
    assert list(check_server.faults(server)) == [
        fix("the last pass reported: disk is wrong"),
        fix(f"the last pass reported: {FIND} is wrong"),
    ]


def test_before_the_first_pass_nothing_was_reported(server):
    assert list(check_server.faults(server)) == []
