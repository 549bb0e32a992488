"""The site and the scenario that the tests of this folder begin with."""

from pathlib import Path

import pytest

from tests.integration.invariants import Scanner
from tests.integration.scenario import Scenario
from tests.support.site import Site


@pytest.fixture
def site(tmp_path: Path, scanner: Scanner, receive_port: int) -> Site:
    """A site that receives by itself from `scanner`, and waits for nothing."""
    return Site(tmp_path / "site", scanner_port=scanner.port, receive_port=receive_port, receive=True)


@pytest.fixture
def scenario(tmp_path: Path, site: Site, scanner: Scanner) -> Scenario:
    return Scenario(tmp_path, site, scanner)
