"""What several folders of tests need: the port that images arrive on, and the two real scanners."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.faults import table
from tests.support import site
from tests.support.ports import free_port

if TYPE_CHECKING:  # to import the scanners takes longer than many a test without one
    from tests.support.dcmqrscp import Dcmqrscp
    from tests.support.orthanc import Orthanc
    from tests.support.scripted import ScriptedScanner

# A parent may have told us to ignore them (nohup, a background job), and what is started here would do so, too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on how fast the machine is. 50 examples find what 100 do; the laboratory says how many it wants.
hypothesis.settings.register_profile(
    "scanner-mover", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("scanner-mover")


@pytest.fixture
def receive_port() -> int:
    """Where the scanner sends images for MOVER."""
    return free_port()


@pytest.fixture
def scripted(receive_port: int) -> "Iterator[ScriptedScanner]":
    """A scripted scanner that runs, has nothing yet and knows MOVER."""
    from tests.support.scripted import ScriptedScanner

    with ScriptedScanner(destinations={"MOVER": receive_port}) as running:
        yield running


@pytest.fixture(params=["Dcmqrscp", "Orthanc"])
def scanner(request: pytest.FixtureRequest, tmp_path: Path, receive_port: int) -> "Iterator[Dcmqrscp | Orthanc]":
    """A real scanner that runs, is empty and knows MOVER; the test is run with each of the two."""
    from tests.support.dcmqrscp import Dcmqrscp
    from tests.support.orthanc import Orthanc

    kinds = {"Dcmqrscp": Dcmqrscp, "Orthanc": Orthanc}
    with kinds[request.param](tmp_path / "scanner", {"MOVER": receive_port}) as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scanner-mover")
    group.addoption(
        "--full", action="store_true", help="the fault laboratory in full: every fault many times, and the long runs"
    )
    group.addoption(
        "--dcmtk",
        type=Path,
        metavar="DIR",
        help="test with the DCMTK tools in DIR (see tests/versions); scanners and receivers stay the machine's own",
    )


def pytest_configure(config: pytest.Config) -> None:
    if (folder := config.getoption("--dcmtk")) is not None:
        site.dcmtk = folder.resolve()
    config.addinivalue_line("markers", "other_dcmtk: about a DCMTK that tests/versions brings, not the machine's own")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # Values that no scanner should send are what these tests make; pydicom says so of each.
        if {"faults", "integration"} & set(item.path.parts):
            item.add_marker(pytest.mark.filterwarnings("ignore::UserWarning:pydicom"))
    if site.dcmtk is not None:
        return
    others = [item for item in items if item.get_closest_marker("other_dcmtk")]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)


def pytest_report_header(config: pytest.Config) -> str | None:
    if site.dcmtk is None:
        return None
    tools = site.real_tools("findscu")
    return f"DCMTK under test: {'.'.join(map(str, site.dcmtk_version()))} ({tools.paths['findscu']})"


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the fault laboratory is run in full, not in the size that fits CI."""
    return bool(request.config.getoption("--full"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, [])]
    lines = table.lines(reports)
    if lines:
        terminalreporter.section("fault laboratory")
        for line in lines:
            terminalreporter.write_line(line)
