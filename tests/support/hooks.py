"""What the tests of a site's own programs begin with: events, a configuration that is trusted, and a program."""

import sys
from pathlib import Path

import pytest

from scanner_mover.config import Settings
from scanner_mover.transfer.hooks import Event, EventKind

STUDY = "1.2.826.0.1.3680043.10.1561.70"
TIME = "2026-01-31T12:00:00+01:00"
FAILED = Event(EventKind.FAILED, "ABCD", STUDY, "no MPPS file", TIME)
FAULT = Event(EventKind.FAULT, "ABCD", None, "the scanner cannot be reached", TIME)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that only its owner may write."""
    path = tmp_path / "config.json"
    path.write_text("{}")
    path.chmod(0o640)
    return path


def settings(file: Path, **hooks: tuple[str, ...]) -> Settings:
    """What stands in the configuration FILE: these programs."""
    return Settings("ABCD", str(file), "/data", "127.0.0.1", 104, "S", "M", None)._replace(**hooks)


def program(folder: Path, text: str, name: str = "hook") -> str:
    """The path of a program in FOLDER that is the Python TEXT."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\n{text}\n")
    path.chmod(0o755)
    return str(path)
