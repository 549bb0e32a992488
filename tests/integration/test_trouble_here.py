"""What can be wrong on this machine: a port that is taken, a full disk, folders that cannot be written."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.integration.scenario import Scenario, outcomes
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.site import BIN

MORE_THAN_ANY_DISK = 1 << 62


@pytest.fixture
def scanner(tmp_path: Path, receive_port: int) -> Iterator[Dcmqrscp]:
    with Dcmqrscp(tmp_path / "scanner", {"MOVER": receive_port}) as running:
        yield running


def test_a_port_that_is_taken(scenario: Scenario, receive_port: int) -> None:
    study = scenario.acquire(2)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("", receive_port))
        other.listen()
        done = scenario.a_pass(exit_status=4)
        assert len(done.stderr.splitlines()) == 1
        assert f"{receive_port} (DICOMPORT)" in done.stderr
        assert scenario.a_pass(exit_status=4).stderr == ""
    assert scenario.where(study) == "active-scans"
    scenario.a_pass()
    assert scenario.where(study) == "finished-scans"


def test_a_disk_with_less_than_the_reserve(scenario: Scenario) -> None:
    complete, missing = scenario.acquire(1), scenario.acquire(2)
    scenario.have(complete.paths)
    scenario.request(missing, age_seconds=10)
    scenario.site.config(reserve_bytes=MORE_THAN_ANY_DISK)
    report = scenario.report(exit_status=4)
    # What is here already needs no room.
    assert outcomes(report) == {complete.uid: "finished", missing.uid: "error"}
    assert scenario.pulls() == []
    assert scenario.where(missing) == "active-scans"
    scenario.site.config(reserve_bytes=0)
    scenario.a_pass()
    assert scenario.where(missing) == "finished-scans"


class TestFoldersThatCannotBeWritten:
    def test_the_whole_data_folder(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        self.refused(scenario, scenario.site.data)
        assert scenario.where(study) == "active-scans"
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_the_folder_of_images(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        self.refused(scenario, scenario.site.data / "site")
        assert scenario.where(study) == "active-scans"
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_the_folder_of_one_series_keeps_what_came(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        scenario.have(study.paths[:1])
        folder = scenario.filed(study.paths[0]).parent
        done = run_without_privileges(scenario, folder)
        assert done.returncode == 4
        assert len(done.stderr.splitlines()) == 1
        assert str(folder) in done.stderr
        assert scenario.where(study) == "active-scans"
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_finished_scans(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        folder = scenario.site.data / "finished-scans"
        folder.mkdir()
        self.refused(scenario, folder)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_the_log(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        folder = scenario.site.server / "logs"
        folder.mkdir(parents=True)
        self.refused(scenario, folder)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_the_folder_of_images_after_a_pass_was_killed(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        staging = self.killed(scenario, study.paths[0])
        os.truncate(staging / f"MR.{study.paths[0].name}", 5000)
        self.names_one_line(run_without_privileges(scenario, scenario.site.data / "site"))
        assert scenario.where(study) == "active-scans"
        scenario.a_pass()  # what a kill cut short is set aside, and no fault
        assert scenario.where(study) == "finished-scans"

    def test_what_a_killed_pass_of_somebody_else_left(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        staging = self.killed(scenario, study.paths[0])
        staging.chmod(0)
        try:
            done = run_without_privileges(scenario, scenario.site.data / "config")
        finally:
            staging.chmod(0o700)
        self.names_one_line(done)
        assert str(staging) in done.stderr
        assert scenario.where(study) == "finished-scans"  # the other files can be written

    def test_the_folder_of_the_lock_after_a_pass_was_killed(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        scenario.scanner.stop()
        scenario.a_pass(exit_status=5)
        pids = scenario.site.server / ".pids"
        (pids / ".moveFromScanner.work.killed").mkdir()
        (pids / ".moveFromScanner.work.part").touch()
        done = run_without_privileges(scenario, pids)
        assert "Traceback" not in done.stderr
        assert done.returncode == 4
        assert len(done.stderr.splitlines()) == 2  # no working folder, and no state
        assert scenario.where(study) == "active-scans"

    @staticmethod
    def killed(scenario: Scenario, path: Path) -> Path:
        """A staging folder with this image, as `kill -9` leaves it."""
        staging = scenario.site.data / "site" / ".moveFromScanner.staging.killed"
        staging.mkdir()
        shutil.copyfile(path, staging / f"MR.{path.name}")
        return staging

    @staticmethod
    def names_one_line(done: "CompletedProcess[str]") -> None:
        assert "Traceback" not in done.stderr
        assert done.returncode == 4
        assert len(done.stderr.splitlines()) == 1

    @staticmethod
    def refused(scenario: Scenario, folder: Path) -> None:
        """A pass while nothing below `folder` can be written: status 4, one line that names it, invariants hold."""
        done = run_without_privileges(scenario, folder)
        assert len(done.stderr.splitlines()) == 1
        assert str(folder) in done.stderr
        scenario.check(done, 4)


def run_without_privileges(scenario: Scenario, folder: Path) -> "CompletedProcess[str]":
    """A pass for which `folder` and all below are read-only.

    Root may write anywhere; so where the tests run as root, the mover runs as root without that privilege.
    """
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    modes = [path.stat().st_mode for path in folders]
    program: tuple[str, ...] = (str(BIN / "scanner-mover"),)
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        assert setpriv, "setpriv (util-linux) is not installed"
        denied = "-dac_override,-dac_read_search"
        program = (setpriv, f"--inh-caps={denied}", f"--bounding-set={denied}", "--", *program)
    for path in folders:
        path.chmod(0o555)
    try:
        return scenario.site.mover(*program[1:], "move", "--receive", program=program[0])
    finally:
        for path, mode in zip(folders, modes, strict=True):
            path.chmod(mode)


class TestWhatIsTriedAgainLater:
    """What is not tried in a pass, because it waits for its time, has not recovered."""

    def test_a_request_that_cannot_be_moved(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        in_the_way = scenario.site.data / "finished-scans" / study.uid
        (in_the_way / "x").mkdir(parents=True)
        done = scenario.site.move()
        assert done.returncode == 4 and "cannot be moved to" in done.stderr
        for _ in range(2):
            assert scenario.site.move().stderr == ""
        assert study.uid in scenario.site.requests_in("active-scans")
        shutil.rmtree(in_the_way)
        scenario.every_pause_is_over()
        done = scenario.a_pass()
        assert "recovered after" in done.stderr and "cannot be moved to" in done.stderr
        assert scenario.where(study) == "finished-scans"

    def test_the_mpps_file_of_an_open_step_is_gone(self, scenario: Scenario) -> None:
        scenario.site.config(no_mpps_after_seconds=300)
        study = scenario.acquire(1, ended=False)
        scenario.a_pass()
        elsewhere = scenario.folder / "elsewhere"
        folder = scenario.site.data / "scanner"
        folder.rename(elsewhere)
        scenario.a_pass()
        done = scenario.a_pass(exit_status=4)
        assert f"study {study.uid}: a step of it was in progress, and its MPPS file is no longer in" in done.stderr
        folder.mkdir()
        for _ in range(2):
            scenario.time_passes(4000)
            assert scenario.a_pass(exit_status=4).stderr == ""
        assert scenario.where(study) == "active-scans"
        folder.rmdir()
        elsewhere.rename(folder)
        scenario.site.mpps(study.uid, ended=True)
        done = scenario.a_pass()
        assert "recovered after" in done.stderr
        assert scenario.where(study) == "finished-scans"


def test_a_program_of_the_site_that_fails_is_said_when_an_event_is_lost(scenario: Scenario) -> None:
    site, hook = scenario.site, scenario.folder / "hook"
    hook.write_text("#!/bin/sh\nexit 3\n")
    hook.chmod(0o755)
    site.config(on_finished=[str(hook)])
    scenario.acquire(1)
    assert scenario.a_pass().stderr == "", "it is tried once more"
    done = scenario.a_pass()
    line = f"an event did not reach the program of on_finished: {hook}: exit status 3"
    assert done.stderr == f"scanner-mover: {line}\n"
    assert scenario.a_pass().stderr == ""
    assert line in site.mover("status").stdout
    hook.write_text("#!/bin/sh\nexit 0\n")
    scenario.acquire(1)
    assert "recovered after" in scenario.a_pass().stderr
    assert line not in site.mover("status").stdout
