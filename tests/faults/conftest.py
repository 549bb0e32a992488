"""The scripted scanner, the site and the scenario that the laboratory's tests begin with."""

from pathlib import Path

import pytest

from tests.faults.limits import LONG
from tests.faults.table import Entry
from tests.integration.scenario import Scenario
from tests.support.scripted import ScriptedScanner
from tests.support.site import Site


@pytest.fixture
def site(tmp_path: Path, scripted: ScriptedScanner, receive_port: int) -> Site:
    """A site that receives by itself from the scripted scanner, and waits for nothing; its time limits are long."""
    return Site(
        tmp_path / "site",
        scanner_port=scripted.port,
        receive_port=receive_port,
        receive=True,
        **LONG,
    )


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path, site: Site, scripted: ScriptedScanner) -> Scenario:
    """The scenario of a test, with a line in the table under the name of the test."""
    return Scenario(tmp_path, site, scripted, Entry(request, request.node.originalname))
