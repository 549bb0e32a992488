"""The scanner's faults with associations: refused, rejected, aborted."""

import pytest

from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner


@pytest.mark.parametrize("reason", [(1, 1, 1), (1, 1, 7), (2, 3, 2)])
def test_association_is_rejected(scenario: Scenario, scripted: ScriptedScanner, reason: tuple[int, int, int]) -> None:
    study = scenario.acquire(2, 1)
    scripted.script.reject = reason
    for _ in range(2):
        scenario.a_pass(exit_status=5)
        assert scenario.where(study) == "active-scans"
    scripted.script.reject = False
    scenario.a_pass()
    scenario.a_pass()
    assert scenario.where(study) == "finished-scans"
