"""Scanners that refuse, lie, send half, fall silent or hang up: what no real server can be made to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tests.integration.invariants import assert_study_is_here
from tests.integration.scenario import Scenario, Study, outcomes
from tests.support.objects import uid
from tests.support.scripted import (
    IMAGES_IN_ACQUISITION,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    PENDING,
    Answer,
    ScriptedScanner,
)

OUT_OF_RESOURCES = 0xA700
SUB_OPERATIONS_FAILED = 0xA702
DOES_NOT_MATCH_SOP_CLASS = 0xA900
UNABLE_TO_PROCESS = 0xC001

# Each test ends the pass long before this, in seconds: it must be our time limit that ends it.
FOR_EVER = 600


@pytest.fixture
def scanner(scripted: ScriptedScanner) -> ScriptedScanner:
    return scripted


def series_of(study: Study, number: int = 1) -> str:
    return f"{study.uid}.{number}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class TestCounts:
    def test_R22b_an_image_more_than_the_scanner_claims(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(3)
        scanner.script.claims[series_of(study)] = 2
        scenario.have(study.paths[:2])
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert scenario.said("1 image that the scanner lists is not here")
        assert len(scanner.moves) == 1

    def test_R22b_a_scanner_that_refuses_the_image_level_is_believed(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2)
        scanner.script.find_status["IMAGE"] = DOES_NOT_MATCH_SOP_CLASS
        done = scenario.a_pass()
        assert done.stderr == ""
        assert scenario.where(study) == "finished-scans"
        assert scenario.said("relying on the count")

    def test_R22b_beside_images_named_by_uids_another_file_does_not_make_up_for_one(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scenario.site.receive = False
        scenario.have(study.paths[:2])
        scenario.site.series(study.uid, series_of(study)).joinpath("notes.txt").write_bytes(study.paths[2].read_bytes())
        scanner.script.find_status["IMAGE"] = UNABLE_TO_PROCESS
        scenario.site.move()
        assert scenario.where(study) == "active-scans"

    def test_R13_of_a_series_that_is_told_of_twice_the_larger_number_counts(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scenario.have(study.paths[:2])

        def twice(query: Dataset) -> Iterator[Answer]:
            for number in (3, 2):
                ((status, answer),) = scanner.matches(query)
                assert answer is not None
                answer.NumberOfSeriesRelatedInstances = number
                yield status, answer

        scanner.script.find_answers["SERIES"] = twice
        scanner.script.find_status["IMAGE"] = DOES_NOT_MATCH_SOP_CLASS
        report = scenario.report()
        assert report["studies"][0]["series"][0]["expected"] == 3
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R22b_a_broken_answer_at_image_level_closes_nothing(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2)
        scenario.have(study.paths)
        scanner.script.abort_at_find = 2
        scenario.a_pass(exit_status=5)
        assert [level for level, *_ in scanner.asked] == ["SERIES", "SERIES"]
        assert scenario.where(study) == "active-scans"
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R22b_a_scanner_that_is_busy_at_image_level_closes_nothing(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2)
        scenario.have(study.paths)
        scanner.script.find_status["IMAGE"] = OUT_OF_RESOURCES
        scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"

    def test_R13_a_claim_of_more_than_is_sent_is_never_finished(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(3)
        scanner.script.claims[series_of(study)] = 5
        for _ in range(3):
            report = scenario.report()
            series = report["studies"][0]["series"][0]
            assert (series["received"], series["expected"], series["complete"]) == (3, 5, False)
        assert scenario.where(study) == "active-scans"
        assert len(scanner.moves) == 1
        for exit_status in (0, 0, 0, 5):
            scenario.time_passes(240)
            scenario.a_pass(exit_status=exit_status)
        # All that it lists is here: nothing is asked for (R30), and somebody hears of it (R31).
        assert len(scanner.moves) == 1
        assert scenario.said("is stuck at 3 of 5 images")

    @pytest.mark.parametrize("count", [None, "", "-3", "0", "many", "2.5", "99999999999"])
    def test_R13_what_is_no_number_is_counted_at_image_level(
        self, scenario: Scenario, scanner: ScriptedScanner, count: str | None
    ) -> None:
        study = scenario.acquire(2)
        scanner.script.claims[series_of(study)] = count
        report = scenario.report()
        assert report["studies"][0]["series"][0]["expected"] == 2
        assert scenario.where(study) == "finished-scans"
        assert ("IMAGE", study.uid, series_of(study)) in scanner.asked

    @pytest.mark.parametrize("key", [NUMBER_OF_SERIES_RELATED_INSTANCES, IMAGES_IN_ACQUISITION])
    def test_R13_the_count_is_taken_from_either_attribute(
        self, scenario: Scenario, scanner: ScriptedScanner, key: int
    ) -> None:
        study = scenario.acquire(2)
        scanner.script.count_key = key  # type: ignore[assignment]
        scanner.script.claims[series_of(study)] = 4
        report = scenario.report()
        assert report["studies"][0]["series"][0]["expected"] == 4
        assert scenario.where(study) == "active-scans"

    def test_R13_without_any_number_a_series_is_never_complete(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        study = scenario.acquire(2)
        scanner.script.count_key = None
        scanner.script.find_status["IMAGE"] = DOES_NOT_MATCH_SOP_CLASS
        report = scenario.report(exit_status=5)
        series = report["studies"][0]["series"][0]
        assert (series["received"], series["expected"], series["complete"]) == (2, None, False)
        assert scenario.where(study) == "active-scans"


class TestAnswers:
    def test_R14_a_series_without_a_uid(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        self.answer_with(scenario, scanner, series=None, exit_status=5)

    @pytest.mark.parametrize(
        "series", ["../../../../evil", "1.2/../../evil", "..", "1.2.3;touch evil", "1." * 40 + "1"]
    )
    def test_a_hostile_series_uid(self, scenario: Scenario, scanner: ScriptedScanner, series: str) -> None:
        self.answer_with(scenario, scanner, series=series, exit_status=5)

    def test_an_answer_about_another_study(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        self.answer_with(scenario, scanner, study=uid(), series=uid(), exit_status=0)

    @staticmethod
    def answer_with(
        scenario: Scenario,
        scanner: ScriptedScanner,
        *,
        study: str | None = None,
        series: str | None,
        exit_status: int,
    ) -> None:
        """The scanner answers with this, for a study that has ended and is here: nothing is pulled, filed or closed."""
        requested = scenario.acquire(1)
        scenario.have(requested.paths)
        answer = Dataset()
        answer.QueryRetrieveLevel = "SERIES"
        answer.StudyInstanceUID = study or requested.uid
        if series is not None:
            answer["SeriesInstanceUID"] = DataElement("SeriesInstanceUID", "UI", series, already_converted=True)
        answer.NumberOfSeriesRelatedInstances = 1
        scanner.script.find_answers["SERIES"] = [(PENDING, answer)]
        before = paths_outside_of_server(scenario)
        scenario.a_pass(exit_status=exit_status)
        assert scenario.where(requested) == "active-scans"
        assert scanner.moves == []
        # The folders of R26 are made; nothing else changed anywhere.
        made = {scenario.site.data / "finished-scans", scenario.site.data / "failed-scans"}
        assert paths_outside_of_server(scenario) - made == before

    def test_a_hostile_image_uid_is_no_reason_to_close(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(1)
        answer = Dataset()
        answer.StudyInstanceUID = study.uid
        answer.SeriesInstanceUID = series_of(study)
        evil = DataElement("SOPInstanceUID", "UI", "../../../../evil", already_converted=True)
        answer["SOPInstanceUID"] = evil
        scanner.script.find_answers["IMAGE"] = [(PENDING, answer)]
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        assert not [path for path in paths_outside_of_server(scenario) if "evil" in path.name]

    def test_R25_an_association_that_breaks_at_the_second_of_three_queries(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(retries=1)
        studies = [scenario.acquire(1) for _ in range(3)]
        for study in studies:
            scenario.have(study.paths)
        scanner.script.abort_at_find = 2
        report = scenario.report()
        assert outcomes(report) == {study.uid: "finished" for study in studies}
        asked = [study for level, study, _ in scanner.asked if level == "SERIES"]
        # The first answer is not asked for again; that closes the request is asked once more (R22).
        assert asked[:4].count(studies[0].uid) == 1

    def test_a_query_that_stays_unanswered_is_ended(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        scenario.site.config(response_timeout_seconds=4)
        study = scenario.acquire(1)
        scenario.have(study.paths)
        scanner.script.find_silence = FOR_EVER
        scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"
        scanner.script.find_silence = 0
        scenario.site.config(response_timeout_seconds=None)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"


class TestRetrieves:
    def test_R15_the_study_is_named_in_the_c_move(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(1, 1)
        scenario.a_pass()
        assert sorted(scanner.moves) == [(study.uid, series, ()) for series in sorted(study.series)]

    def test_R16_settles_after_each_c_move(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(1, 1)
        scanner.files_into = scenario.site.data / "site" / "raw"
        scenario.site.receive = False
        report = scenario.report("--settle", "2")
        assert scenario.where(study) == "finished-scans"
        assert report["seconds"] >= 4

    def test_R17_a_c_move_that_fails_is_logged_and_tried_again(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(retries=2)
        study = scenario.acquire(2)
        scanner.script.move_status = SUB_OPERATIONS_FAILED
        done = scenario.a_pass(exit_status=5)
        assert len(done.stderr.splitlines()) == 1
        assert scanner.moves == [(study.uid, series_of(study), ())] * 3
        failed = scenario.said(f"C-MOVE {study.uid} {series_of(study)} failed: ")
        assert len(failed) == 3
        assert all("OutOfResources" in text for text in failed)
        assert scenario.where(study) == "active-scans"
        scanner.script.move_status = None
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R29_a_scanner_without_c_move_is_asked_for_one_series_in_a_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(retries=2)
        study = scenario.acquire(1, 1, 1)
        scanner.script.offers_move = False
        done = scenario.a_pass(exit_status=5)
        assert "does not offer query/retrieve, study root" in done.stderr and len(done.stderr.splitlines()) == 1
        before = scanner.associations
        assert scenario.a_pass(exit_status=5).stderr == ""
        assert scanner.associations == before + 2, "a question, and one attempt"
        assert scanner.moves == [] and scenario.where(study) == "active-scans"
        scanner.script.offers_move = True
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R17_a_refusal_is_not_tried_again_in_the_same_pass(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.config(retries=2)
        study = scenario.acquire(2)
        scanner.script.move_status = UNABLE_TO_PROCESS
        scenario.a_pass(exit_status=5)
        assert len(scanner.moves) == 1
        assert scenario.where(study) == "active-scans"

    def test_R17_a_success_that_sends_only_half(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        scenario.site.config(repull_after_seconds=120)
        study = scenario.acquire(4)
        scanner.script.send_only[series_of(study)] = 2
        scenario.a_pass()
        assert scenario.where(study) == "active-scans"
        assert len(scenario.site.images(study.uid, series_of(study))) == 2
        scanner.script.send_only.clear()
        scenario.time_passes(120)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_R18_while_images_arrive_nothing_is_pulled_again(
        self, scenario: Scenario, scanner: ScriptedScanner
    ) -> None:
        scenario.site.receive = False
        scanner.files_into = scenario.site.data / "site" / "raw"
        scanner.deliver_when_told = True
        study = scenario.acquire(3)
        scenario.a_pass()
        for _ in range(2):
            scanner.deliver(1)
            scenario.a_pass()
            assert len(scanner.moves) == 1
        scenario.a_pass()  # nothing new came
        assert len(scanner.moves) == 2
        scanner.deliver(1)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"
        assert len(scanner.moves) == 2

    def test_images_of_others_that_come_along(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        first, second = scenario.acquire(2), scenario.acquire(1, 2)
        scenario.request(first, age_seconds=20)
        scenario.request(second, age_seconds=10)
        stranger = scenario.acquire(1, request=False, mpps=False)
        del scanner.studies[stranger.uid]
        scanner.studies[first.uid][series_of(first)] += [*second.series[series_of(second)], *stranger.paths]
        scanner.script.claims[series_of(first)] = 2
        scanner.script.study_counts = None
        scenario.a_pass()
        assert scenario.where(first) == scenario.where(second) == "finished-scans"
        assert names(scenario.site.series(first.uid, "")) == [series_of(first)]
        # What came along with the first study's series was not pulled again.
        assert scanner.moves == [(first.uid, series_of(first), ()), (second.uid, series_of(second, 2), ())]
        rejected = scenario.site.data / "site" / "rejected"
        assert names(rejected) == [f"MR.{stranger.paths[0].name}"]
        assert scenario.said(f"set aside {rejected / names(rejected)[0]}: nobody asked for its study {stranger.uid}")
        assert not scenario.site.series(stranger.uid, "").exists()

    def test_images_without_pixels_are_set_aside_and_told(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(2)
        whole = study.paths[0].read_bytes()
        image = dcmread(study.paths[0])
        del image.PixelData
        image.save_as(study.paths[0])
        done = scenario.a_pass(exit_status=5)
        assert "not whole and were set aside" in done.stderr and done.stderr.count("\n") == 1
        rejected = scenario.site.data / "site" / "rejected"
        assert names(rejected) == [f"MR.{study.paths[0].name}"]
        assert scenario.said(f"set aside {rejected / names(rejected)[0]}: it is an image without pixel data")
        assert scenario.where(study) == "active-scans"
        study.paths[0].write_bytes(whole)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_a_scanner_that_falls_silent_in_a_c_move(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        scenario.site.config(retrieve_stall_seconds=5)
        study = scenario.acquire(4)
        scanner.script.move_silence = FOR_EVER
        scanner.script.move_silence_after = 2
        done = scenario.a_pass(exit_status=5)
        assert len(done.stderr.splitlines()) == 1
        assert scenario.where(study) == "active-scans"
        assert len(scenario.site.images(study.uid, series_of(study))) == 2
        scanner.script.move_silence = 0
        scenario.site.config(retrieve_stall_seconds=None)
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    @pytest.mark.parametrize("receive", [True, False])
    def test_images_keep_a_c_move_without_responses_alive(
        self, scenario: Scenario, scanner: ScriptedScanner, receive: bool
    ) -> None:
        scenario.site.receive = receive
        scenario.site.config(retrieve_stall_seconds=5)
        study = scenario.acquire(5)
        if not receive:
            scanner.files_into = scenario.site.data / "site" / "raw"
        scanner.script.pending_responses = False
        scanner.script.seconds_between_images = 1.5
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_a_scanner_that_hangs_up_in_a_c_move(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        study = scenario.acquire(4)
        scanner.script.abort_move_after = 2
        scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"
        assert len(scenario.site.images(study.uid, series_of(study))) == 2
        scanner.script.abort_move_after = None
        scenario.a_pass()
        assert scenario.where(study) == "finished-scans"

    def test_one_series_that_fails_does_not_keep_the_others(self, scenario: Scenario, scanner: ScriptedScanner) -> None:
        bad, good = scenario.acquire(2), scenario.acquire(2)
        scenario.request(bad, age_seconds=10)
        scanner.script.send_only[series_of(bad)] = 1
        scenario.a_pass()
        assert scenario.where(bad) == "active-scans"
        assert scenario.where(good) == "finished-scans"
        assert_study_is_here(scenario.site, scanner, good.uid)


def paths_outside_of_server(scenario: Scenario) -> set[Path]:
    """Everything below the test's own folder but SERVERDIR, with what a name with `..` in it would reach."""
    root = scenario.site.root.parent
    return {path for path in root.rglob("*") if scenario.site.server not in (path, *path.parents)}
