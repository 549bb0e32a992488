"""`associations`: how many at once a scanner gets for the questions of a pass."""

import pytest

from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner


@pytest.fixture
def scanner(scripted: ScriptedScanner) -> ScriptedScanner:
    return scripted


@pytest.mark.parametrize(("allowed", "used"), [(1, 1), (2, 2), (3, 3), (16, 5)])
def test_questions_are_shared_among_as_many_as_are_allowed(
    scenario: Scenario, scanner: ScriptedScanner, allowed: int, used: int
) -> None:
    scenario.site.config(associations=allowed)
    studies = [scenario.acquire(1, mpps=False) for _ in range(5)]
    for study in studies:
        scenario.have(study.paths)
    report = scenario.report()
    assert scanner.associations == used
    assert sorted(study for _, study, _ in scanner.asked) == sorted(study.uid for study in studies)
    assert all(series["complete"] for study in report["studies"] for series in study["series"])


def test_one_that_breaks_leaves_the_others_answered(scenario: Scenario, scanner: ScriptedScanner) -> None:
    scenario.site.config(associations=2)
    for _ in range(4):
        study = scenario.acquire(1, mpps=False)
        scenario.have(study.paths)
    scanner.script.abort_at_find = 1
    report = scenario.report(exit_status=5)
    answered = [study for study in report["studies"] if study["series"]]
    assert len(answered) in (2, 3)
    assert [study["error"] is None for study in report["studies"]].count(True) == len(answered)
    assert all(study["error"] is None for study in scenario.report()["studies"])
