"""Images are filed while others of their series still arrive: a study is here as soon as its last image is."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner
from tests.support.site import wait_until

FOR_EVER = 600


@pytest.fixture
def scanner(receive_port: int) -> Iterator[ScriptedScanner]:
    with ScriptedScanner(destinations={"MOVER": receive_port}) as running:
        yield running


def test_whole_images_are_filed_before_the_retrieve_ends(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(45)
    scanner.script.move_silence, scanner.script.move_silence_after = FOR_EVER, 42
    with scenario.site.moving() as passing:
        wait_until(lambda: len(scenario.site.images(study.uid, f"{study.uid}.1")) == 41)
        assert passing.poll() is None
        assert scenario.where(study) == "active-scans"
        os.kill(passing.pid, signal.SIGTERM)
        assert passing.wait(30) == 128 + signal.SIGTERM
    scanner.script.move_silence = 0
    scenario.a_pass()
    assert len(scanner.moves[1][2]) in (3, 4)  # the newest may have been cut short by our signal
    assert scenario.where(study) == "finished-scans"


def test_images_that_nobody_asked_for_wait_for_the_end(scenario: Scenario, scanner: ScriptedScanner) -> None:
    study = scenario.acquire(1)
    other = scenario.acquire(40, request=False, mpps=False)
    scanner.studies[study.uid][f"{study.uid}.1"] += other.paths
    scanner.script.claims[f"{study.uid}.1"] = 1
    scanner.script.move_silence, scanner.script.move_silence_after = 1, 41
    scenario.a_pass()
    assert not (scenario.site.data / "site" / "raw" / other.uid).exists()
    assert len(list((scenario.site.data / "site" / "rejected").iterdir())) == 40
    assert len(scenario.said(f"nobody asked for its study {other.uid}")) == 40
