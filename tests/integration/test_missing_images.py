"""A pull that came to half: what is here is kept, and only what is missing is asked for (C-MOVE at IMAGE level)."""

from collections.abc import Iterator

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from tests.integration.scenario import Scenario, Study
from tests.support.scripted import Answer, ScriptedScanner

REFUSED = 0xA900


def asked(scripted: ScriptedScanner) -> list[int]:
    """How many images each C-MOVE named; 0: the whole series."""
    return [len(sop_instance_uids) for _, _, sop_instance_uids in scripted.moves]


def series_of(study: Study) -> str:
    return f"{study.uid}.1"


def test_a_real_scanner_sends_what_is_missing(scenario: Scenario) -> None:
    study = scenario.acquire(6, 2)
    scenario.have(study.paths[1:4])
    scenario.a_pass()
    assert scenario.where(study) == "finished-scans"
    assert scenario.said(f"{series_of(study)}, asking for what is missing: 3 images")
    assert len(scenario.pulls()) == 2


class TestScripted:
    @pytest.fixture
    def scanner(self, scripted: ScriptedScanner) -> ScriptedScanner:
        return scripted

    def test_what_is_missing_is_asked_for_by_name(self, scenario: Scenario, scripted: ScriptedScanner) -> None:
        study = scenario.acquire(5)
        scripted.script.send_only[series_of(study)] = 2
        scenario.a_pass()
        assert asked(scripted) == [0]
        assert scenario.where(study) == "active-scans"
        del scripted.script.send_only[series_of(study)]
        scenario.a_pass()
        assert asked(scripted) == [0, 3]
        assert scenario.where(study) == "finished-scans"

    def test_another_try_within_the_pass_asks_for_what_did_not_come(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        scenario.site.config(retries=3)
        study = scenario.acquire(4)
        scripted.script.abort_move_after = 3
        scenario.a_pass()
        assert asked(scripted) == [0, 1]
        assert scenario.where(study) == "finished-scans"

    def test_a_scanner_that_refuses_single_images_is_asked_for_the_series(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        study = scenario.acquire(4)
        scenario.have(study.paths[:1])
        scripted.script.move_status = REFUSED
        scenario.a_pass(exit_status=5)
        assert asked(scripted) == [3]
        assert scenario.said("the whole series is asked for next time")
        scenario.a_pass(exit_status=5)
        scripted.script.move_status = None
        scenario.time_passes(120)
        scenario.a_pass()
        assert asked(scripted) == [3, 0, 0]
        assert scenario.where(study) == "finished-scans"

    def test_R30_one_that_says_success_and_sends_none_is_asked_by_name_only(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        study = scenario.acquire(4)
        scenario.have(study.paths[:1])
        scripted.script.send_only[series_of(study)] = 0
        scenario.a_pass()
        assert asked(scripted) == [3]
        del scripted.script.send_only[series_of(study)]
        scenario.a_pass()
        assert asked(scripted) == [3, 3]
        assert scenario.where(study) == "finished-scans"

    def test_one_that_does_not_list_images_is_asked_for_the_series(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        study = scenario.acquire(4)
        scenario.have(study.paths[:1])
        scripted.script.find_status["IMAGE"] = REFUSED
        scenario.a_pass()
        assert asked(scripted) == [0]
        assert scenario.where(study) == "finished-scans"

    def test_images_whose_files_have_other_names_are_not_asked_for_by_name(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        scenario.site.receive = False
        study = scenario.acquire(4, request=False)
        folder = scenario.site.series(study.uid, series_of(study))
        folder.mkdir(parents=True)
        folder.joinpath("image-1").write_bytes(study.paths[0].read_bytes())
        scenario.site.request(study.uid)
        scenario.site.move()
        assert asked(scripted) == [0]

    def test_a_name_that_the_scanner_lists_and_that_is_no_uid_is_not_sent(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scenario.have(study.paths[:1])

        def hostile(query: Dataset) -> Iterator[Answer]:
            for status, answer in scripted.matches(query):
                if answer is not None and answer.SOPInstanceUID.endswith(".3"):
                    answer["SOPInstanceUID"] = DataElement("SOPInstanceUID", "UI", "../../x", already_converted=True)
                yield status, answer

        scripted.script.find_answers["IMAGE"] = hostile
        scenario.a_pass()
        assert asked(scripted) == [1]

    def test_more_images_than_a_query_holds_are_asked_for_in_several(
        self, scenario: Scenario, scripted: ScriptedScanner
    ) -> None:
        study = scenario.acquire(3)
        scenario.have(study.paths)
        series = scripted.studies[study.uid][series_of(study)]

        def many(query: Dataset) -> Iterator[Answer]:
            yield from scripted.matches(query)
            for number in range(2000):
                (*_, (status, answer)) = scripted.matches(query)
                assert answer is not None
                answer.SOPInstanceUID = f"{series_of(study)}.9.{number}"
                yield status, answer

        scripted.script.claims[series_of(study)] = 2003
        scripted.script.find_answers["IMAGE"] = many
        scenario.site.config(repull_after_seconds=120)
        scenario.a_pass()
        assert len(series) == 3
        assert asked(scripted) == [1000, 1000]
        assert scenario.where(study) == "active-scans"
