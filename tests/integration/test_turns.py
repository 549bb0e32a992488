"""No study keeps the others waiting: a turn ends, and the rest of its series is left to the next pass."""

import pytest

from scanner_mover.arguments import MoveOptions
from scanner_mover.commands.move import make_pass
from scanner_mover.rules import turns
from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner


@pytest.fixture
def scanner(scripted: ScriptedScanner) -> ScriptedScanner:
    return scripted


@pytest.fixture
def a_pass(scenario: Scenario, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A pass in this process, in which a turn lasts as long as one C-MOVE."""
    for name, value in scenario.site.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)
    return lambda: make_pass(MoveOptions(receive=True), "scanner-mover")


def test_a_study_of_many_series_lets_the_others_go_on(scenario: Scenario, scanner: ScriptedScanner, a_pass) -> None:  # type: ignore[no-untyped-def]
    long = scenario.acquire(1, 1, 1)
    short = scenario.acquire(1)
    scenario.request(long, age_seconds=100)
    assert a_pass() == 0
    assert [study for study, *_ in scanner.moves] == [long.uid, short.uid]
    assert len(scenario.said("left to the next pass: other studies wait")) == 2
    assert scenario.where(short) == "finished-scans"
    assert a_pass() == 0
    assert scenario.where(long) == "finished-scans"


def test_one_alone_is_pulled_to_its_end(scenario: Scenario, scanner: ScriptedScanner, a_pass) -> None:  # type: ignore[no-untyped-def]
    study = scenario.acquire(1, 1, 1)
    assert a_pass() == 0
    assert len(scanner.moves) == 3
    assert scenario.where(study) == "finished-scans"
