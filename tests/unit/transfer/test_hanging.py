"""A pass that has had nothing to log for too long hangs, and that is said once."""

import os
import time

import pytest

from scanner_mover.site.folders import ServerFolders
from scanner_mover.transfer.hanging import MOST_SILENT_SECONDS, line, line_once


@pytest.fixture
def server(tmp_path) -> ServerFolders:
    server = ServerFolders(str(tmp_path), "ABCD")
    os.makedirs(server.pids)
    with open(server.lock, "w", encoding="utf-8"):
        pass
    return server


def silent_for(server: ServerFolders, seconds: float) -> None:
    os.utime(server.lock, (time.time() - seconds,) * 2)


def test_one_that_gave_its_lock_the_time_goes_on(server):
    assert line(server) is None
    silent_for(server, MOST_SILENT_SECONDS - 600)
    assert line(server) is line_once(server) is None


def test_without_a_lock_nothing_can_be_said(server):
    os.unlink(server.lock)
    assert line(server) is line_once(server) is None


def test_one_that_is_silent_is_said_once_until_it_is_another(server):
    silent_for(server, 2 * 3600 + 5)
    text = line(server)
    assert text is not None
    assert text.startswith(f"a pass holds the lock {server.lock} and has logged nothing for 2 h 0 min: does it hang?")
    assert line_once(server) == text
    assert line_once(server) is None
    silent_for(server, 4000)
    assert "1 h 6 min" in str(line_once(server))


def test_where_it_cannot_be_kept_that_it_was_said_it_is_said_again(server):
    silent_for(server, 4000)
    os.mkdir(server.hanging)
    assert line_once(server) is not None
    assert line_once(server) is not None
