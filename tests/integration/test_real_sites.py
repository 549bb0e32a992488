"""What real consoles and sites do (R13, R21, R29 to R41, R44), each against the scripted scanner and a whole pass."""

import json
import os
import re
import time
from pathlib import Path

import pydicom
import pytest

from tests.integration.scenario import Scenario, Study
from tests.support.objects import mpps
from tests.support.script import IMAGES_IN_ACQUISITION, Break, sent_as
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site

OUT_OF_RESOURCES, CANCEL, WARNING, REFUSED = 0xA700, 0xFE00, 0xB000, 0xA900
# Longer than any pause between attempts and questions.
LONG = 4000


@pytest.fixture
def scanner(scripted: ScriptedScanner) -> ScriptedScanner:
    return scripted


@pytest.fixture
def site(tmp_path: Path, scanner: ScriptedScanner, receive_port: int) -> Site:
    return Site(tmp_path / "site", scanner_port=scanner.port, receive_port=receive_port, receive=True)


def series_of(study: Study, number: int = 1) -> str:
    return f"{study.uid}.{number}"


def sop(path: Path) -> str:
    return path.name


def asked(scanner: ScriptedScanner) -> list[int]:
    """How many images each C-MOVE named, 0 for a whole series."""
    return [len(uids) for _, _, uids in scanner.moves]


def waits(scenario: Scenario, study: Study) -> tuple[str, str]:
    known = scenario.site.state()["requests"][study.uid]
    return known["waits_for"], known["waits_text"]


class TestNeverArrives:
    @pytest.mark.parametrize("field", ["never_sends", "cannot_send"])
    def test_R29_R30_R31_one_image_never_comes(self, scenario: Scenario, scanner: ScriptedScanner, field: str) -> None:
        study = scenario.acquire(6)
        setattr(scanner.script, field, {sop(study.paths[5])})
        failed = 5 if field == "cannot_send" else 0
        scenario.a_pass(exit_status=failed)
        for _ in range(3):
            scenario.time_passes(LONG)
            scenario.a_pass(exit_status=failed)
        assert asked(scanner) == [0, 1, 1, 1], "by name only"
        scenario.time_passes(LONG)
        done = scenario.a_pass(exit_status=5)
        line = f"series {series_of(study)} of study {study.uid} is stuck at 5 of 6 images, missing"
        assert line in done.stderr
        assert sop(study.paths[5]) in done.stderr
        assert max(scanner.sent.values()) == 1, "no image is sent twice"
        made = len(scanner.moves)
        again = scenario.a_pass(exit_status=5)
        assert "stuck" not in again.stderr and len(scanner.moves) == made
        kind, text = waits(scenario, study)
        assert kind == "images" and text.startswith("1 of 6 images missing")

    def test_R31_nothing_arrives_although_the_scanner_says_success(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scanner.script.sends_nothing = True
        scenario.a_pass()
        for exit_status in (0, 0, 5):
            scenario.time_passes(LONG)
            done = scenario.a_pass(exit_status=exit_status)
        assert "is stuck at 0 of 3 images" in done.stderr
        assert "is MOVER registered on it with this machine's address and port" in done.stderr
        scanner.script.sends_nothing = False
        scenario.time_passes(LONG)
        done = scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert done.stderr.startswith("scanner-mover: recovered after ") and "registered" not in done.stderr

    def test_R31_by_hand_an_incomplete_series_is_told_at_once(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scanner.script.sends_nothing = True
        done = scenario.a_pass("--study", study.uid, exit_status=5)
        assert "is stuck at 0 of 3 images" in done.stderr
        scenario.a_pass("--study", study.uid, exit_status=5)
        assert len(scanner.moves) == 2, "it does not wait"

    def test_R31_by_hand_a_fault_is_printed_also_when_it_was_reported_before(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study, other = scenario.acquire(2), scenario.acquire(2)
        scanner.script.never_sends = {sop(study.paths[0])}
        scenario.a_pass()
        for exit_status in (0, 0, 0, 5):
            scenario.time_passes(LONG)
            done = scenario.a_pass(exit_status=exit_status)
        assert f"of study {study.uid} is stuck" in done.stderr
        again = scenario.a_pass(exit_status=5)
        assert again.stderr == "", "cron hears of it once"
        by_hand = scenario.a_pass("--study", study.uid, exit_status=5)
        assert by_hand.stderr == done.stderr
        assert scenario.site.move("--study", other.uid).stderr == "", "nothing is wrong with this one"

    def test_R31_attempts_by_hand_count_and_nothing_recovers_by_waiting(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scanner.script.sends_nothing = True
        for _ in range(4):
            scenario.a_pass("--study", study.uid, exit_status=5)
        assert scenario.site.state()["requests"][study.uid]["series"][series_of(study)]["fruitless"] == 3
        done = scenario.a_pass(exit_status=5)
        assert done.stderr == ""

    def test_R31_a_study_that_arrives_by_hand_is_not_stuck(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(2)
        scanner.script.move_status = 0xC000
        for _ in range(2):
            scenario.a_pass(exit_status=5)
        scanner.script.move_status = None
        done = scenario.site.move("--study", study.uid)
        assert (done.returncode, "stuck" in done.stderr) == (0, False)

    def test_R29_a_scanner_that_sends_nothing_at_all_is_one_fault_and_gets_one_attempt_a_pause(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(1, 1, 1, 1)
        scanner.script.sends_nothing = True
        scenario.a_pass()
        assert len(scanner.moves) == 4
        scenario.time_passes(LONG)
        done = scenario.a_pass(exit_status=5)
        assert done.stderr.count("\n") == 1 and "sends no images at all" in done.stderr
        made = len(scanner.moves)
        scenario.a_pass(exit_status=5)
        assert len(scanner.moves) == made
        scenario.time_passes(LONG)
        scenario.a_pass(exit_status=5)
        assert len(scanner.moves) == made + 1
        other = scenario.acquire(1)
        scenario.a_pass(exit_status=5)
        assert scanner.moves[-1][0] == other.uid, "a study that was never asked for does not wait"
        scanner.script.sends_nothing = False
        for _ in range(3):
            if scenario.site.requests_in("active-scans"):
                scenario.time_passes(LONG)
                scenario.site.move()
        assert scenario.where(study) == scenario.where(other) == "finished-scans"

    def test_R29_series_that_are_refused_make_no_scanner_sick_that_sends_others(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2, 1, 1, 1)
        scanner.script.cannot_send = {sop(path) for path in study.paths[2:]}
        lines = scenario.a_pass(exit_status=5).stderr.splitlines()
        for _ in range(5):
            other = scenario.acquire(1)
            scenario.time_passes(LONG)
            lines += scenario.a_pass(exit_status=5).stderr.splitlines()
            assert scenario.where(other) == "finished-scans"
        assert sum("sends no images at all" in line for line in lines) == 2, "it begins and ends once"
        assert sum(f"of study {study.uid} is stuck" in line for line in lines) == 3
        assert sum(" recovered after " in line for line in lines) == 1

    def test_R29_a_scanner_that_sends_again_has_recovered_in_that_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(repull_after_seconds=120)
        scenario.acquire(1, 1, 1)
        scanner.script.sends_nothing = True
        for exit_status in (0, 5):
            scenario.a_pass(exit_status=exit_status)
            scenario.time_passes(LONG)
        scanner.script.sends_nothing = False
        done = scenario.a_pass()
        assert done.stderr.startswith("scanner-mover: recovered after "), done.stderr
        assert scenario.site.requests_in("active-scans") == []

    def test_R29_images_with_other_uids_are_set_aside_once_told_and_waited_for(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        scenario.acquire(2)
        scanner.script.sends = sent_as(tmp_path / "sent", StudyInstanceUID="1.2.3.4")
        done = scenario.a_pass(exit_status=5)
        assert "another StudyInstanceUID" in done.stderr
        again = scenario.a_pass(exit_status=5)
        assert again.stderr == "", "it is reported once, and it has not recovered"
        made = len(scanner.moves)
        scenario.a_pass(exit_status=5)
        assert len(scanner.moves) == made
        assert len(list((scenario.site.data / "site" / "rejected").iterdir())) == 2

    def test_R29_images_of_a_series_that_the_scanner_does_not_list_are_set_aside_once_told_and_waited_for(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        study = scenario.acquire(2)
        scanner.script.sends = sent_as(tmp_path / "sent", SeriesInstanceUID="1.2.3.4")
        done = scenario.a_pass(exit_status=5)
        assert "another SeriesInstanceUID" in done.stderr
        assert scenario.a_pass(exit_status=5).stderr == "", "it is reported once, and it has not recovered"
        made = len(scanner.moves)
        scenario.a_pass(exit_status=5)
        assert len(scanner.moves) == made
        assert len(list((scenario.site.data / "site" / "rejected").iterdir())) == 2
        assert not (scenario.site.data / "site" / "raw" / study.uid / "1.2.3.4").exists()
        scenario.time_passes(LONG)
        scenario.a_pass(exit_status=5)
        scenario.time_passes(LONG)
        done = scenario.a_pass(exit_status=5)
        assert "is stuck at 0 of 2 images" in done.stderr
        assert "set aside" in done.stderr and "registered" not in done.stderr, "the advice fits"
        scanner.script.sends = None
        scenario.time_passes(LONG)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R29_images_of_another_series_that_the_scanner_lists_are_filed(
        self, scenario: Scenario, scanner: ScriptedScanner, tmp_path: Path
    ) -> None:
        study = scenario.acquire(2, 1)
        _, other = study.series
        scanner.script.sends = lambda paths: [*paths, *study.series[other]]
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert not (scenario.site.data / "site" / "rejected").exists()

    def test_R31_a_damaged_image_of_a_stranger_is_no_damage_of_what_was_asked_for(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study, stranger = scenario.acquire(2), scenario.acquire(1, request=False, mpps=False)
        image = pydicom.dcmread(stranger.paths[0])
        del image.PixelData
        image.save_as(stranger.paths[0])
        scanner.script.sends = lambda paths: [*paths, *stranger.paths]
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        (path,) = (scenario.site.data / "site" / "rejected").iterdir()
        assert scenario.said(f"set aside {path}: it is an image without pixel data"), "the log says it all the same"

    def test_R29_a_signal_counts_nothing(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(2)
        scanner.script.hold_after = 0
        with scenario.site.moving() as process:
            while not scanner.is_held:
                time.sleep(0.05)
            process.terminate()
            process.wait()
        scanner.go_on()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


class TestLists:
    def test_R33_one_uid_listed_twice(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(5)
        scanner.script.lists_twice = {sop(study.paths[0])}
        scanner.script.claims[series_of(study)] = 6
        scenario.a_pass()
        scenario.time_passes(LONG)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert asked(scanner) == [0]

    def test_R33_a_planned_number(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(4)
        scanner.script.count_key = IMAGES_IN_ACQUISITION
        scanner.script.claims[series_of(study)] = 10150
        for _ in range(2):
            scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert asked(scanner) == [0]

    @pytest.mark.parametrize("status", [OUT_OF_RESOURCES, CANCEL])
    def test_R34_the_list_always_ends_with_a_failure(
        self, scenario: Scenario, scanner: ScriptedScanner, status: int
    ) -> None:
        study = scenario.acquire(4)
        scanner.script.find_ends_with["IMAGE"] = status
        scanner.script.most_answers["IMAGE"] = 3
        for exit_status in (5, 5, 0):
            done = scenario.a_pass(exit_status=exit_status)
            if exit_status:
                assert scenario.where(study) == "active-scans"
                scenario.time_passes(LONG)
        assert scenario.where(study) == "finished-scans"
        assert scenario.said("relying on the count")
        assert not done.stderr, "nothing has recovered"

    def test_R35_the_list_of_series_is_cut_off(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(1, 2, 1, 2)
        scanner.script.most_answers["SERIES"] = 2
        done = scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"
        assert "the scanner reports 4 series with 6 images at STUDY level" in done.stderr
        del scanner.script.most_answers["SERIES"]
        scenario.time_passes(LONG)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R35_a_scanner_that_refuses_the_study_level(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(2)
        scanner.script.find_status["STUDY"] = REFUSED
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R36_a_series_that_vanishes_is_waited_for_an_hour(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(6, 1)
        scanner.script.send_only[series_of(study)] = 2
        scenario.a_pass()
        scanner.vanish(series_of(study))
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        said = r"closes incomplete in 59 min \d+ s if nothing changes, the scanner no longer has 4 of 6 images"
        assert re.search(said, scenario.site.mover("status").stdout)
        scenario.time_passes(3601)
        done = scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert (
            f"is incomplete: the scanner no longer has all of series {series_of(study)} (2 of 6 images)" in done.stderr
        )
        entry = json.loads((scenario.site.lock_file.parent / "moveFromScanner.ledger.jsonl").read_text())
        assert entry["incomplete"] and entry["outcome"] == "finished"

    def test_R37_a_series_without_any_image(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(2)
        scanner.add_empty_series(study.uid, series_of(study, 9))
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        said = r"the scanner lists no image of 1 series, next try (\d\d:\d\d|in the next pass)"
        assert re.search(said, scenario.site.mover("status").stdout)
        scenario.time_passes(LONG)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert [series for _, series, _ in scanner.moves] == [series_of(study)]

    def test_a_series_that_came_with_another_is_not_asked_for(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2, 3)
        scanner.script.sends = lambda paths: study.paths
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scanner.moves) == 1

    def test_R44_a_list_that_changed_nothing_is_not_asked_for_every_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3, ended=False)
        scanner.script.count_key = None
        for _ in range(5):
            scenario.a_pass()
        lists = [level for level, *_ in scanner.asked if level == "IMAGE"]
        assert len(lists) <= 3
        assert waits(scenario, study)[0] == "procedure"


class TestClosing:
    @pytest.mark.parametrize(
        ("status", "end_time", "ended"),
        [
            ("COMPLETED", None, True),
            ("COMPLETED", False, True),
            ("DISCONTINUED", None, True),
            ("IN PROGRESS", "104500", False),
        ],
    )
    def test_R21_the_status_of_the_step_decides(
        self, scenario: Scenario, status: str, end_time: str | bool | None, ended: bool
    ) -> None:
        study = scenario.acquire(1, mpps=False)
        path = scenario.site.data / "scanner" / f"{study.uid}.mpps"
        mpps(path, study_instance_uid=study.uid, ended=end_time, status=status)
        assert scenario.site.move().returncode == 0
        assert scenario.where(study) == ("finished-scans" if ended else "active-scans")

    def test_R21_the_file_that_is_open_is_named_with_its_status(self, scenario: Scenario) -> None:
        study = scenario.acquire(1, mpps=False)
        for number, ended in enumerate((False, True)):
            scenario.site.mpps(study.uid, ended=ended, name=f"MPPS.1.2.{number}")
        scenario.a_pass()
        assert scenario.said("step MPPS.1.2.0 still in progress (IN PROGRESS)")
        assert waits(scenario, study) == ("procedure", "step MPPS.1.2.0 still in progress")

    def test_R22_what_closes_a_request_is_asked_immediately_before(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        """While an older study is retrieved, another one gets a second series and a step that still runs."""
        older, study = scenario.acquire(2), scenario.acquire(2)
        scenario.have(study.paths)
        scenario.request(older, age_seconds=100)
        scanner.script.hold_after = 1
        with scenario.site.moving() as process:
            while not scanner.is_held:
                time.sleep(0.05)
            scenario.add_series(study, 2, 2)
            scenario.site.mpps(study.uid, ended=False, name="second.mpps")
            scanner.go_on()
            process.communicate(timeout=240)
        assert scenario.where(older) == "finished-scans"
        assert scenario.where(study) == "active-scans"

    def test_R44_questions_before_closing_that_stay_unanswered_are_not_asked_in_every_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2)
        scenario.have(study.paths)
        scanner.script.breaks = Break("find", how="abort", level="STUDY")
        for _ in range(5):
            scenario.site.move()
        assert [level for level, *_ in scanner.asked].count("STUDY") == 2
        assert scenario.where(study) == "active-scans"
        scanner.script.breaks = None
        scenario.time_passes(60)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R32_a_request_that_expects_no_MPPS_is_finished(self, scenario: Scenario) -> None:
        study = scenario.acquire(2, mpps=False, request=False)
        scenario.site.request(study.uid, content=b'{"mpps": "not expected"}')
        scenario.requested.append(study.uid)
        scenario.a_pass()
        assert waits(scenario, study) == ("mpps", "no MPPS file")
        scenario.time_passes(14_500)
        assert scenario.site.move().returncode == 0
        assert scenario.where(study) == "finished-scans"

    def test_R32_the_option_holds_for_all(self, scenario: Scenario) -> None:
        scenario.site.config(no_mpps_after_seconds=600)
        study = scenario.acquire(2, mpps=False)
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        scenario.time_passes(601)
        assert scenario.site.move().returncode == 0
        assert scenario.where(study) == "finished-scans"

    def test_R38_a_request_that_fails_says_why(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(3, request=False)
        scanner.script.never_sends = {sop(study.paths[0])}
        scenario.request(study, age_seconds=90_000)
        scenario.a_pass()
        scenario.time_passes(61)
        scenario.a_pass()
        assert scenario.said("is old, but not failed yet"), "the image may come yet"
        done = scenario.site.move()
        while done.returncode == 0:
            scenario.every_pause_is_over()
            done = scenario.site.move()
        scenario.check(done, 6)
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"scanner-mover: study {study.uid} failed: 2 of 3 images of 1 incomplete series arrived")
        assert line.endswith(f"its images are in {scenario.site.data}/site/raw/{study.uid}")
        after = scenario.a_pass()
        assert after.stderr == "", "no later line says that all is well with it"

    def test_R40_other_modalities_are_neither_retrieved_nor_waited_for(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(modalities=["MR"])
        study = scenario.acquire(2, 3)
        scanner.script.modalities = {series_of(study, 2): "SR"}
        assert scenario.site.move().returncode == 0
        assert scenario.where(study) == "finished-scans"
        assert [series for _, series, _ in scanner.moves] == [series_of(study)]
        assert len(scenario.said("modalities has no SR")) == 1

    def test_R40_a_study_of_which_nothing_is_kept_fails_with_that_reason(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(modalities=["CT"])
        study = scenario.acquire(2)
        done = scenario.a_pass(exit_status=6)
        assert scenario.where(study) == "failed-scans"
        assert "no series of a modality that is kept (CT)" in done.stderr
        assert scanner.moves == []

    def test_R41_a_scanner_that_says_success_first(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(3)
        scanner.script.sends_after = 2
        scenario.a_pass()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scanner.moves) == 1

    def test_R13_a_file_of_0_bytes_is_not_asked_for_while_a_program_may_write_it(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(quiet_seconds=600)
        study = scenario.acquire(2)
        scenario.have(study.paths)
        path = scenario.filed(study.paths[0])
        path.unlink()
        path.touch()
        scenario.site.move()
        assert scanner.moves == []
        os.utime(path, (time.time() - 700,) * 2)
        scenario.site.move()
        assert len(scanner.moves) == 1

    def test_no_study_of_that_uid_by_hand(self, scenario: Scenario) -> None:
        done = scenario.a_pass("--study", "1.2.3.4", exit_status=5)
        assert "the scanner does not have study 1.2.3.4" in done.stderr
