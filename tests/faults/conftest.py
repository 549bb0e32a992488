"""What the laboratory's tests begin with: a site, its scripted scanner and a scenario; the shares of a long test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.limits import LONG
from tests.faults.place import Place
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


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A site with a request of each kind, and its scanner; SCENARIO of the test's module is its line in the table."""
    made = Place(tmp_path, Entry(request, request.module.SCENARIO))
    with made.scanner:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is divided into shares runs once for each; how many there are its module says."""
    if "share" in metafunc.fixturenames:
        module, full = metafunc.module, metafunc.config.getoption("--full")
        metafunc.parametrize("share", range(module.SHARES if full else module.SHARES_IN_CI))
