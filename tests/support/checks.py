"""What the tests of `status --check` begin with: settings that receive, folders, and the PATH without our programs."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from scanner_mover.commands.check_line import Finding
from scanner_mover.config import Settings
from scanner_mover.site.folders import DataFolders
from tests.support import receiving
from tests.support.site import path_without_ours


def settings(port: int) -> Settings:
    return receiving.settings(port, receive=True)


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each test of a module that imports this."""
    monkeypatch.setenv("PATH", path_without_ours())


def only(findings: Iterable[Finding]) -> Finding:
    """The one finding there is."""
    (finding,) = findings
    return finding
