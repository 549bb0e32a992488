"""What happens in the ordinary life of a site, with each of the two real scanners."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.invariants import assert_study_is_here
from tests.integration.scenario import Scenario, outcomes
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.objects import Kind, compressed_series, ct_series, dumped_series, mr_series, uid
from tests.support.orthanc import Orthanc
from tests.support.receiver import StorescpReceiver
from tests.support.site import Site

RealScanner = Dcmqrscp | Orthanc


@pytest.fixture
def receiver(tmp_path: Path, site: Site, receive_port: int) -> Iterator[StorescpReceiver]:
    """The site's other program that receives, with its daemon; `site` then does not receive by itself."""
    site.receive = False
    with StorescpReceiver(tmp_path / "receiver", site.data, port=receive_port) as running:
        yield running


class TestPulling:
    @pytest.mark.parametrize("make", [mr_series, ct_series, dumped_series])
    def test_a_fresh_study_is_pulled_and_finished_in_one_pass(
        self, scenario: Scenario, make: Callable[..., list[Path]]
    ) -> None:
        study = scenario.acquire(2, 3, make=make)
        done = scenario.a_pass()
        assert (done.stdout, done.stderr) == ("", "")
        assert scenario.where(study) == "finished-scans"
        assert sorted(scenario.pulls()) == sorted(f"{study.uid} {series}" for series in study.series)

    def test_a_fresh_study_that_another_program_receives(self, scenario: Scenario, receiver: StorescpReceiver) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(2, 3)
        scenario.a_pass()
        receiver.wait_until_linked(5)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 2
        assert len(receiver.arrived()) == 5

    @pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "rle"])
    def test_compressed_images_are_kept_as_they_were_sent(self, scenario: Scenario, kind: Kind) -> None:
        study = scenario.acquire(2, make=partial(compressed_series, kind=kind))
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_a_missing_image_is_pulled_again(self, scenario: Scenario) -> None:
        study = scenario.acquire(3)
        scenario.have(study.paths[:2])
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 1

    def test_a_missing_image_is_pulled_again_by_another_program(
        self, scenario: Scenario, receiver: StorescpReceiver
    ) -> None:
        study = scenario.acquire(3)
        scenario.have(study.paths[:2])
        scenario.site.config(repull_after_seconds=120)
        scenario.a_pass()
        receiver.wait_until_linked(3)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 1

    def test_a_file_of_no_bytes_is_no_image_R13(self, scenario: Scenario) -> None:
        study = scenario.acquire(2)
        scenario.have(study.paths[:1])
        scenario.filed(study.paths[1]).touch()
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 1

    def test_R18_a_receiver_that_lags_is_waited_for(self, scenario: Scenario, receiver: StorescpReceiver) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(3)
        receiver.hold()
        for _ in range(3):
            scenario.a_pass()
            assert scenario.where(study) == "active-scans"
        assert len(scenario.pulls()) == 1
        receiver.release()
        receiver.wait_until_linked(3)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 1

    def test_R18_what_does_not_arrive_is_pulled_again_in_time(
        self, scenario: Scenario, receiver: StorescpReceiver
    ) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(2)
        receiver.hold()
        scenario.a_pass()
        scenario.time_passes(60)
        scenario.a_pass()
        assert len(scenario.pulls()) == 1
        scenario.time_passes(60)
        scenario.a_pass()
        assert len(scenario.pulls()) == 2
        scenario.time_passes(120)
        scenario.a_pass()
        assert len(scenario.pulls()) == 3
        assert scenario.where(study) == "active-scans"


class TestClosing:
    def test_R20_R21_a_running_procedure_is_pulled_and_not_closed(self, scenario: Scenario) -> None:
        empty = scenario.acquire(1, ended=False)
        absent = scenario.acquire(1, ended=None)
        no_file = scenario.acquire(1, mpps=False)
        report = scenario.report()
        assert outcomes(report) == dict.fromkeys((empty.uid, absent.uid, no_file.uid), "waiting")
        assert [study["procedure"] for study in report["studies"]] == ["in progress", "in progress", "unknown"]
        for study in (empty, absent, no_file):
            assert scenario.where(study) == "active-scans"
            assert_study_is_here(scenario.site, scenario.scanner, study.uid)
            scenario.site.mpps(study.uid, ended=True)
        report = scenario.report()
        assert outcomes(report) == dict.fromkeys((empty.uid, absent.uid, no_file.uid), "finished")
        assert len(scenario.pulls()) == 3

    def test_R25_after_one_is_finished_the_next_is_looked_at(self, scenario: Scenario) -> None:
        studies = [scenario.acquire(1), scenario.acquire(1, ended=False), scenario.acquire(1)]
        for age, study in zip((30, 20, 10), studies, strict=True):
            scenario.request(study, age_seconds=age)
            scenario.have(study.paths)
        scenario.a_pass()
        assert [scenario.where(study) for study in studies] == ["finished-scans", "active-scans", "finished-scans"]
        messages = [text for text in scenario.site.messages() if text.startswith(("PROCESS", "JOB", "we are not"))]
        folder = scenario.site.data / "active-scans"
        closed = [f"JOB {folder / study.uid} to {scenario.site.data / 'finished-scans'}" for study in studies]
        assert messages == [
            f"PROCESS: {folder / studies[0].uid}",
            closed[0],
            f"PROCESS: {folder / studies[1].uid}",
            "we are not done yet with this job",
            f"PROCESS: {folder / studies[2].uid}",
            closed[2],
        ]

    def test_R10_one_study_requested_twice_and_a_stray_file(self, scenario: Scenario) -> None:
        site = scenario.site
        study = scenario.acquire(1)
        site.request(f"below/{study.uid}", age_seconds=-5, content=b"the newer one\n")
        site.request("notes.txt", content=b"keep\n")
        for _ in range(2):
            scenario.a_pass()
        assert site.requests_in("finished-scans") == [study.uid]
        assert (site.data / "finished-scans" / study.uid).read_bytes() == b"the newer one\n"
        assert len(scenario.pulls()) == 1
        assert site.requests_in("active-scans") == ["notes.txt"]
        assert len(scenario.said("is left alone")) == 1
        assert not scenario.said("notes.txt"), "a name that somebody gave may be a patient's"

    @pytest.mark.parametrize("ended", ["shorter", "longer"])
    def test_R19_a_uid_that_is_the_beginning_of_another(self, scenario: Scenario, ended: str) -> None:
        shorter_uid = uid()
        studies = {
            "shorter": scenario.acquire(1, study_instance_uid=shorter_uid, ended=ended == "shorter"),
            "longer": scenario.acquire(1, study_instance_uid=f"{shorter_uid}.7", ended=ended == "longer"),
        }
        for study in studies.values():
            scenario.have(study.paths)
        scenario.a_pass()
        assert {name for name, study in studies.items() if scenario.where(study) == "finished-scans"} == {ended}

    def test_R19_a_uid_that_is_the_beginning_of_the_only_mpps(self, scenario: Scenario) -> None:
        shorter_uid = uid()
        longer = scenario.acquire(1, study_instance_uid=f"{shorter_uid}.7")
        shorter = scenario.acquire(1, study_instance_uid=shorter_uid, mpps=False)
        scenario.have([*longer.paths, *shorter.paths])
        scenario.a_pass()
        assert scenario.where(longer) == "finished-scans"
        assert scenario.where(shorter) == "active-scans"

    def test_R19_of_two_mpps_files_both_must_have_ended(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        scenario.have(study.paths)
        scenario.site.mpps(study.uid, ended=False, name="second.mpps")
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        scenario.site.mpps(study.uid, ended=True, name="second.mpps")
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R22a_a_series_that_appears_after_the_end_is_waited_for(self, scenario: Scenario) -> None:
        scenario.site.config(quiet_seconds=3600)
        study = scenario.acquire(2)
        scenario.a_pass()
        scenario.time_passes(3000)
        scenario.add_series(study, 2, 1)  # reconstructed 50 minutes after the end
        scenario.a_pass()
        assert_study_is_here(scenario.site, scenario.scanner, study.uid)
        scenario.time_passes(3000)  # 100 minutes after the end, and 50 after the change
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        scenario.time_passes(600)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scenario.pulls()) == 2

    def test_R22a_the_quiet_time_can_be_set(self, scenario: Scenario) -> None:
        scenario.site.config(quiet_seconds=3600)
        study = scenario.acquire(1)
        scenario.have(study.paths)
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        scenario.site.config(quiet_seconds=0)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


class TestAge:
    OLD = 90_000
    DAY = 86_400

    def test_R24_fails_when_over_age_in_two_passes_a_minute_apart(self, scenario: Scenario) -> None:
        study = scenario.acquire(1, ended=False)
        scenario.have(study.paths)
        scenario.request(study, age_seconds=self.OLD)
        for _ in range(2):
            scenario.a_pass()
            assert scenario.where(study) == "active-scans"
        scenario.time_passes(61)
        report = scenario.report(exit_status=6)
        assert outcomes(report) == {study.uid: "failed"}
        assert scenario.where(study) == "failed-scans"
        folder = scenario.site.data / "active-scans"
        assert scenario.said(f'"{folder / study.uid}" is old, download seems to have failed')

    def test_R24_never_fails_while_the_scanner_is_off(self, scenario: Scenario, scanner: RealScanner) -> None:
        study = scenario.acquire(1, ended=False)
        scenario.have(study.paths)
        scenario.request(study, age_seconds=self.OLD)
        scenario.a_pass()
        scanner.stop()
        for _ in range(2):
            scenario.time_passes(self.DAY)
            scenario.a_pass(exit_status=5)
            assert scenario.where(study) == "active-scans"
        scanner.start()
        scenario.a_pass(exit_status=6)
        assert scenario.where(study) == "failed-scans"

    def test_R24_a_clock_that_jumps_for_one_pass_fails_nothing(self, scenario: Scenario) -> None:
        study = scenario.acquire(1, ended=False)
        scenario.have(study.paths)
        scenario.a_pass()
        for _ in range(2):
            scenario.a_pass(clock="+1d")
            assert scenario.where(study) == "active-scans"
            assert scenario.said('" is ')[-1].endswith("is old, it fails if that is still so in a minute")
            scenario.time_passes(90)
            scenario.a_pass()
            assert scenario.where(study) == "active-scans"
            assert scenario.said('" is ')[-1].endswith("is too new, keep it around longer")
        scenario.a_pass(clock="+1d")
        assert scenario.where(study) == "active-scans"

    def test_R24_a_time_in_the_future_is_age_0(self, scenario: Scenario) -> None:
        study = scenario.acquire(1, ended=False)
        scenario.have(study.paths)
        scenario.request(study, age_seconds=-3 * self.DAY)
        for _ in range(2):
            scenario.a_pass("--give-up-after", "1")
            scenario.time_passes(90)
        assert scenario.where(study) == "active-scans"

    def test_R24_what_is_complete_in_time_is_finished_however_old(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        scenario.request(study, age_seconds=self.OLD)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


class TestTrouble:
    def test_R14_a_scanner_that_is_off_finishes_nothing(self, scenario: Scenario, scanner: RealScanner) -> None:
        study = scenario.acquire(2)
        scanner.stop()
        first = scenario.a_pass(exit_status=5)
        assert first.stdout == ""
        assert len(first.stderr.splitlines()) == 1
        assert "cannot be reached" in first.stderr
        assert str(scanner.port) in first.stderr
        second = scenario.a_pass(exit_status=5)
        assert (second.stdout, second.stderr) == ("", "")
        assert scenario.where(study) == "active-scans"
        scanner.start()
        third = scenario.a_pass()
        assert len(third.stderr.splitlines()) == 1
        assert "recovered" in third.stderr
        assert scenario.where(study) == "finished-scans"
        assert scenario.a_pass().stderr == ""

    def test_R14_a_study_that_the_scanner_does_not_have_is_never_finished(self, scenario: Scenario) -> None:
        study_instance_uid = uid()
        scenario.site.request(study_instance_uid)
        scenario.site.mpps(study_instance_uid)
        scenario.requested.append(study_instance_uid)
        report = scenario.report()
        assert outcomes(report) == {study_instance_uid: "waiting"}
        assert scenario.site.requests_in("active-scans") == [study_instance_uid]

    def test_a_wrong_called_ae_title(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        scenario.site.config(SCANNERAETITLE="SOMEBODY")
        done = scenario.a_pass(exit_status=5)
        assert len(done.stderr.splitlines()) == 1
        assert "SCANNERAETITLE" in done.stderr
        assert scenario.where(study) == "active-scans"
        scenario.site.config(SCANNERAETITLE="SCANNER")
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_an_unknown_move_destination(self, scenario: Scenario) -> None:
        study = scenario.acquire(1)
        scenario.site.config(DICOMAETITLE="NOBODY")
        done = scenario.a_pass(exit_status=5)
        assert len(done.stderr.splitlines()) == 1
        if isinstance(scenario.scanner, Dcmqrscp):  # Orthanc says no more than that it was unable to process
            assert "register NOBODY (DICOMAETITLE)" in done.stderr
        assert scenario.where(study) == "active-scans"
        scenario.site.config(DICOMAETITLE="MOVER")
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_nothing_listens_where_the_images_are_sent(
        self, scenario: Scenario, tmp_path: Path, receive_port: int
    ) -> None:
        scenario.site.receive = False
        study = scenario.acquire(2)
        done = scenario.a_pass(exit_status=5)
        assert len(done.stderr.splitlines()) == 1
        assert scenario.where(study) == "active-scans"
        with StorescpReceiver(tmp_path / "receiver", scenario.site.data, port=receive_port) as receiver:
            scenario.a_pass()
            receiver.wait_until_linked(2)
            scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
