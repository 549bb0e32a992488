"""The scanner's faults: beside each other and one after another in the size that fits CI, each alone with `--full`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.faults import scanner_faults as faults
from tests.faults.laboratory import Fault, Laboratory
from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site


@pytest.fixture
def laboratory(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, scripted: ScriptedScanner
) -> Callable[..., Laboratory]:
    """Makes the laboratory; `receive`: movescu receives, else another program does."""

    def make(receive: bool, seed: int = 1) -> Laboratory:
        site.config(response_timeout_seconds=1, retrieve_stall_seconds=1)
        site.receive = receive
        if not receive:
            scripted.files_into = site.data / "site" / "raw"
        return Laboratory(Scenario(tmp_path, site, scripted), scripted, request, seed)

    return make


def beside_each_other(faults: Sequence[Fault]) -> list[list[Fault]]:
    """Those that can be at the same time in one step, and a step for each of the others."""
    return [[fault for fault in faults if not fault.alone], *([fault] for fault in faults if fault.alone)]


@pytest.mark.parametrize(
    ("some", "receive", "passes"),
    [
        pytest.param(faults.REJECTIONS, False, 1, id="rejections"),
        pytest.param(faults.BREAKS_OF_FIND, False, 1, id="breaks of C-FIND"),
        pytest.param([*faults.BREAKS_OF_MOVE, *faults.SLOW], True, 1, id="breaks of C-MOVE"),
        pytest.param(faults.STATUSES_OF_FIND, False, 1, id="statuses of C-FIND"),
        pytest.param(faults.STATUSES_OF_MOVE, False, 1, id="statuses of C-MOVE"),
        pytest.param(faults.ANSWERS, False, 1, id="answers"),
        pytest.param(faults.COUNTS, True, 1, id="images that were not asked for"),
        pytest.param(faults.IMAGES, True, 1, id="images that are none"),
        pytest.param(faults.BREAKS_INSIDE_AN_IMAGE, True, 1, id="breaks inside an image"),
        pytest.param(faults.SYNTAXES, True, 1, id="syntaxes"),
        pytest.param(faults.MANY_SERIES, False, 1, id="many series"),
    ],
)
def test_faults_of_the_scanner(
    laboratory: Callable[..., Laboratory], some: Sequence[Fault], receive: bool, passes: int
) -> None:
    laboratory(receive).run(beside_each_other([fault for fault in some if fault.quick]), passes=passes)
