"""What the tests of receiving begin with: settings, folders, and none of the rules of this machine."""

from pathlib import Path

import pytest

from scanner_mover.config import Settings
from scanner_mover.dcmtk import storescp
from tests.support.ports import LOOPBACK


def settings(port: int = 4006, **more: object) -> Settings:
    return Settings("ABCD", "config.json", "data", LOOPBACK, 104, "SCANNER", "MOVER", port)._replace(**more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty staging folder."""
    path = tmp_path / "staging"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where rules of this machine stand, for each test of a module that imports this; there are none."""
    paths = [tmp_path / "hosts.allow", tmp_path / "hosts.deny"]
    monkeypatch.setattr(storescp, "RULES", [str(path) for path in paths])
    return paths
