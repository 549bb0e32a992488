"""Passes that are ended in the middle of a C-MOVE, and what the next pass makes of what they left (R27)."""

import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from subprocess import Popen

import pydicom
import pytest
from pydicom.uid import UID

from scanner_mover import clock
from tests.integration import invariants
from tests.integration.scenario import Scenario, Study
from tests.support.objects import Kind, compressed_series
from tests.support.receiver import whole_image
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site, flock, wait_until

IMAGES = 40
RECEIVED = 4
STAGING = ".moveFromScanner.staging."


@pytest.fixture
def scanner(receive_port: int) -> Iterator[ScriptedScanner]:
    """A slow one that stops in the middle of a study of IMAGES, until the test has it go on."""
    with ScriptedScanner(destinations={"MOVER": receive_port}) as running:
        running.script.seconds_between_images = 0.1
        running.script.hold_after = IMAGES // 2
        yield running


def received(site: Site) -> list[Path]:
    """What lies in staging, whole or not."""
    return [path for folder in invariants.staging(site) for path in folder.iterdir() if path.name[0] != "."]


def kill_in_the_middle(scenario: Scenario, number: int) -> int:
    """Make a pass and send it the signal as soon as some images have come; gives its exit status."""
    with scenario.site.moving() as process:
        wait_until(lambda: len(received(scenario.site)) >= RECEIVED)
        process.send_signal(number)
        return ended(process)


def ended(process: "Popen[str]") -> int:
    _, error = process.communicate(timeout=240)
    assert "Traceback" not in error
    return process.returncode


def next_pass_completes(scenario: Scenario, scanner: ScriptedScanner, study: Study) -> None:
    scanner.script.seconds_between_images = 0
    scanner.go_on()
    scenario.a_pass()
    assert scenario.where(study) == "finished-scans"
    assert not (scenario.site.data / "site" / "rejected").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_R27_a_signal_in_the_middle_of_a_c_move(scenario: Scenario, scanner: ScriptedScanner, name: str) -> None:
    study = scenario.acquire(IMAGES)
    number = signal.Signals[name]
    assert kill_in_the_middle(scenario, number) == 128 + number
    # All of that is so at once, not after a while: nothing of the pass outlives it.
    invariants.check_nothing_runs(scenario.site)
    assert invariants.work_folders(scenario.site) == []
    invariants.check_request(scenario.site, scanner, study.uid)
    assert scenario.where(study) == "active-scans"
    # What had come whole is filed at once, and the one that our end cut short is gone.
    assert invariants.staging(scenario.site) == []
    kept = scenario.site.images(study.uid, next(iter(study.series)))
    assert RECEIVED - 1 <= len(kept) < IMAGES
    # It was ended on purpose: no alert fires for that.
    assert scenario.site.state()["last_pass"]["exit_status"] == 0
    next_pass_completes(scenario, scanner, study)
    assert set(scanner.moves[-1][2]).isdisjoint(kept)


def test_R27_kill_9_in_the_middle_of_a_c_move(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(IMAGES)
    assert kill_in_the_middle(scenario, signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not invariants.processes_of(scenario.site))  # the kernel kills the children
    wait_until(lambda: flock(scenario.site.lock_file) == 0)
    assert received(scenario.site)
    invariants.check_request(scenario.site, scanner, study.uid)
    next_pass_completes(scenario, scanner, study)
    assert scenario.said("an earlier pass left images in")


def test_R27_what_came_before_a_kill_9_is_filed_though_the_request_is_gone(
    scenario: Scenario, scanner: ScriptedScanner
) -> None:
    study = scenario.acquire(IMAGES)
    kill_in_the_middle(scenario, signal.SIGKILL)
    (scenario.site.data / "active-scans" / study.uid).unlink()
    scenario.requested.clear()
    scenario.a_pass()
    assert len(scenario.site.images(study.uid, next(iter(study.series)))) >= RECEIVED - 1
    assert len(scanner.moves) == 1


def test_R27_signals_without_end(scenario: Scenario, scanner: ScriptedScanner) -> None:
    """As a terminal that closes and an impatient service manager send them: none of them breaks the clean end."""
    study = scenario.acquire(IMAGES)
    with scenario.site.moving() as process:
        wait_until(lambda: len(received(scenario.site)) >= RECEIVED)
        numbers = itertools.cycle([signal.SIGTERM, signal.SIGHUP])
        while process.poll() is None:
            process.send_signal(next(numbers))
            time.sleep(0.0002)
        status = ended(process)
    # A shell sees the same in all: 128 + n. Of two signals that wait the one with the smaller number comes first.
    assert status in (128 + signal.SIGTERM, 128 + signal.SIGHUP, -signal.SIGTERM, -signal.SIGHUP)
    invariants.check_nothing_runs(scenario.site)
    assert invariants.work_folders(scenario.site) == []
    assert all(whole_image(path) for path in received(scenario.site))
    next_pass_completes(scenario, scanner, study)


def test_R27_a_signal_while_the_scanner_is_silent(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(1)
    scanner.script.find_silence = 600
    with scenario.site.moving() as process:
        wait_until(lambda: scanner.asked)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM
    invariants.check(scenario.site, scanner, scenario.requested)
    scanner.script.find_silence = 0
    next_pass_completes(scenario, scanner, study)


def test_R27_a_signal_while_it_settles(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(2)
    with scenario.site.moving("--settle", "600") as process:
        wait_until(lambda: len(scenario.site.images(study.uid, next(iter(study.series)))) == 2)
        process.send_signal(signal.SIGINT)
        assert ended(process) == 128 + signal.SIGINT
    invariants.check(scenario.site, scanner, scenario.requested)
    next_pass_completes(scenario, scanner, study)


def test_R9_a_second_pass_beside_the_first_leaves_at_once(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(IMAGES)
    site = scenario.site
    with site.moving() as process:
        wait_until(lambda: received(site))
        log = [line for line in site.messages() if "C-MOVE" not in line]
        second = site.move()
        assert (second.returncode, second.stdout, second.stderr) == (1, "", "")
        assert [line for line in site.messages() if "C-MOVE" not in line] == log
        assert flock(site.lock_file) == 1
        process.send_signal(signal.SIGTERM)
        ended(process)
    next_pass_completes(scenario, scanner, study)


class TestLeftStaging:
    """Staging folders as `kill -9` leaves them."""

    @staticmethod
    def leave(
        scenario: Scenario, name: str, paths: list[Path], cut: int | None = None, age: int = 0, boot: str | None = None
    ) -> None:
        """Files that storescp received, cut to a number of bytes, written some seconds ago, in this boot or another."""
        folder = scenario.site.data / "site" / f"{STAGING}{name}"
        folder.mkdir(exist_ok=True)
        asked = {"boot": boot or clock.now().boot, "asked": []}
        (folder / ".asked.json").write_text(json.dumps(asked))
        for path in paths:
            target = folder / f"MR.{path.name}"
            shutil.copyfile(path, target)
            if cut is not None:
                os.truncate(target, cut)
            modified = target.stat().st_mtime - age
            os.utime(target, (modified, modified))

    @pytest.mark.parametrize("blocks", [1, 4])
    def test_after_a_power_cut_nothing_of_it_is_filed_and_all_is_pulled_again(
        self, scenario: Scenario, scanner: ScriptedScanner, blocks: int
    ) -> None:
        """A file of its full length whose last blocks never came to the disk: dcmdump calls it whole."""
        scanner.script.seconds_between_images = 0
        study = scenario.acquire(2)
        self.leave(scenario, "one", study.paths, boot="another start of the machine")
        (folder,) = invariants.staging(scenario.site)
        for path in folder.glob("MR.*"):
            size = path.stat().st_size
            os.truncate(path, size - blocks * 1024)
            os.truncate(path, size)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.said("restarted before it was on the disk")) == 2
        assert len(scenario.pulls()) == 1

    def test_R27_is_filed_or_set_aside(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        scanner.script.seconds_between_images = 0
        study = scenario.acquire(4)
        stranger = scenario.acquire(1, request=False, mpps=False)
        whole, damaged, newest, missing = study.paths
        self.leave(scenario, "one", [whole, *stranger.paths], age=30)
        self.leave(scenario, "one", [damaged], cut=5000, age=20)
        self.leave(scenario, "one", [newest], cut=7000)
        scanner.script.send_only[next(iter(study.series))] = {missing.name}
        scenario.a_pass()
        assert scenario.site.images(study.uid, next(iter(study.series))) == sorted([whole.name, missing.name])
        rejected = scenario.site.data / "site" / "rejected"
        # The newest is the one that the kill cut short: it is removed. What else is damaged is kept and logged.
        assert sorted(path.name for path in rejected.iterdir()) == sorted(
            [f"MR.{damaged.name}", f"MR.{stranger.paths[0].name}"]
        )
        assert (rejected / f"MR.{damaged.name}").stat().st_size == 5000
        assert len(scenario.said(f"set aside {rejected}")) == 2
        assert scenario.said(f"removed the image MR.{newest.name}")
        assert scenario.where(study) == "active-scans"
        scanner.script.send_only.clear()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    @pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "rle"])
    def test_a_compressed_file_that_is_cut_is_never_filed(
        self, scenario: Scenario, scanner: ScriptedScanner, kind: Kind
    ) -> None:
        scanner.script.seconds_between_images = 0
        study = scenario.acquire(2, make=partial(compressed_series, kind=kind))
        damaged, whole = study.paths
        self.leave(scenario, "one", [damaged], cut=damaged.stat().st_size - 20, age=30)
        self.leave(scenario, "one", [whole])
        scanner.script.send_only[next(iter(study.series))] = 0
        scenario.a_pass()
        assert scenario.site.images(study.uid, next(iter(study.series))) == [whole.name]
        assert (scenario.site.data / "site" / "rejected" / f"MR.{damaged.name}").is_file()

    @pytest.mark.parametrize("bytes_left", [0, 100, 132, 1500])
    def test_a_file_cut_anywhere_is_never_filed(
        self, scenario: Scenario, scanner: ScriptedScanner, bytes_left: int
    ) -> None:
        scanner.script.seconds_between_images = 0
        study = scenario.acquire(2)
        damaged, whole = study.paths
        self.leave(scenario, "one", [damaged], cut=bytes_left, age=30)
        self.leave(scenario, "one", [whole])
        scanner.script.send_only[next(iter(study.series))] = 0
        scenario.a_pass()
        assert scenario.site.images(study.uid, next(iter(study.series))) == [whole.name]
        (rejected,) = (scenario.site.data / "site" / "rejected").iterdir()
        assert rejected.stat().st_size == bytes_left

    @pytest.mark.parametrize("left", ["a file", "a folder with a folder", "a folder with a link to nowhere"])
    def test_something_strange_in_its_place_stops_nothing(
        self, scenario: Scenario, scanner: ScriptedScanner, left: str
    ) -> None:
        study = scenario.acquire(1)
        staging = scenario.site.data / "site" / f"{STAGING}one"
        if left == "a file":
            staging.touch()
        else:
            staging.mkdir()
            inside = staging / "MR.1.2.3"
            inside.mkdir() if "with a folder" in left else inside.symlink_to("nowhere")
        done = scenario.site.move()
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 4)
        assert len(done.stderr.splitlines()) <= 1
        assert scenario.where(study) == "finished-scans"
        invariants.check_nothing_runs(scenario.site)

    def test_a_file_that_is_not_what_it_was_announced_as(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        scanner.script.seconds_between_images = 0
        study = scenario.acquire(2)
        image = pydicom.dcmread(study.paths[0])
        image.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
        image.save_as(scenario.folder / "otherwise")
        self.leave(scenario, "one", [scenario.folder / "otherwise"])
        scanner.script.send_only[next(iter(study.series))] = 0
        scenario.a_pass()
        assert scenario.site.images(study.uid, next(iter(study.series))) == []
        assert (scenario.site.data / "site" / "rejected" / f"MR.{study.paths[0].name}").is_file()
        assert scenario.said("its SOPInstanceUID is not the one that it was announced with")
