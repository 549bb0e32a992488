"""What unit tests share: folders in memory, another disk, and a SIGTERM at a chosen moment.

To make and remove their folders on a disk takes a fifth of all their time.
"""

import itertools
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner_mover import signals

MEMORY = "/dev/shm"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def _folder() -> Iterator[Path]:
    place = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="scanner-mover-tests-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(_folder: Path) -> Path:
    """An empty folder; it is removed when all tests have run."""
    path = _folder / str(next(_numbers))
    path.mkdir()
    return path


@pytest.fixture
def on_another_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    here = os.stat(tmp_path).st_dev
    place = next(one for one in (tempfile.gettempdir(), MEMORY) if os.stat(one).st_dev != here)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def sigterm(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets a SIGTERM come: it is noted, as the handler does it."""
    for name, value in {"_asked": 0, "_raised": False, "_over": False}.items():
        monkeypatch.setattr(signals, name, value)
    return lambda: signals._note(signal.SIGTERM, None)
