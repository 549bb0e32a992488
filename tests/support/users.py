"""What a user who is not root may do, also where the tests run as root."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@contextlib.contextmanager
def no_root() -> Iterator[None]:
    """This process has no more rights than any user while the block runs.

    Where other users may not even enter the root folder, as in some chroots, the test is skipped.
    """
    if os.geteuid() != 0:
        yield
        return
    if not os.stat("/").st_mode & stat.S_IXOTH:
        pytest.skip("no other user may enter / here")
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A new folder that every user may enter; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve()
        path.chmod(0o755)
        yield path
        # What a test closed can be removed again.
        for inner, _, _ in os.walk(path):
            os.chmod(inner, 0o700)
