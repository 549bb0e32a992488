"""What several folders of tests need: the port that images arrive on, and the two real scanners."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import table
from tests.support.dcmqrscp import Dcmqrscp
from tests.support.orthanc import Orthanc
from tests.support.ports import free_port

# A parent may have told us to ignore them (nohup, a background job), and what is started here would do so, too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def receive_port() -> int:
    """Where the scanner sends images for MOVER."""
    return free_port()


@pytest.fixture(params=[Dcmqrscp, Orthanc])
def scanner(request: pytest.FixtureRequest, tmp_path: Path, receive_port: int) -> Iterator[Dcmqrscp | Orthanc]:
    """A real scanner that runs, is empty and knows MOVER; the test is run with each of the two."""
    with request.param(tmp_path / "scanner", {"MOVER": receive_port}) as running:
        yield running


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("scanner-mover").addoption(
        "--full", action="store_true", help="the fault laboratory in full: every fault many times, and the long runs"
    )


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
