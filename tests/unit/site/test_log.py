"""The log: the form of a line byte for byte, what a message can do to it, and a log that cannot be written (R28)."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.errors import UnusableError
from scanner_mover.site.log import Log
from scanner_mover.text import printable

STUDY = "1.2.826.0.1.3680043.10.1561.28"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "logs" / "moveFromScanner.log"


# The form


def test_R28_lines_are_added_to_those_of_the_script(path):
    path.parent.mkdir()
    path.write_bytes(b"Sat Jan  3 04:05:06 UTC 2026: PROCESS: /data/active-scans/1.2.3\n")
    log = Log(str(path))
    log("one")
    log("two")
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3
    assert [line.rpartition(b": ")[2] for line in lines[1:]] == [b"one", b"two"]


def test_R28_a_line_is_there_as_soon_as_it_is_written(path):
    log = Log(str(path))
    log("one")
    assert path.read_bytes().endswith(b": one\n")


# Messages


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[2Jx", r"\x1b[2Jx"),
        ("tab\there", r"tab\there"),
        ("nul\0", r"nul\x00"),
        ("\x85\u2028\u2029", r"\x85\u2028\u2029"),
        ("\u202egpj", r"\u202egpj"),
        ("bytes \udcff", r"bytes \udcff"),
        ("Größe 頭部 x", "Größe 頭部 x"),
        ("100% %s {}", "100% %s {}"),
        ("", ""),
    ],
)
def test_R28_a_hostile_message_stays_one_line(path, message, written):
    Log(str(path))(message)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 2 and lines[1] == ""
    assert lines[0].endswith(": " + written)


@given(message=st.text(st.characters()))
def test_R28_whatever_the_message_it_is_one_printable_line(tmp_path_factory, message):
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.unlink(missing_ok=True)
    log = Log(str(path))
    log(message)
    log.close()
    text = path.read_bytes().decode("utf-8")
    assert text.endswith(f": {printable(message)}\n")
    assert text.removesuffix("\n").isprintable()


def test_what_is_shown_is_what_is_written(path):
    shown: list[str] = []
    Log(str(path), echo=shown.append)("a\nb")
    Log(None, echo=shown.append)("c\x1b")
    assert shown == [r"a\nb", r"c\x1b"]


# A log that cannot be written


def test_a_folder_in_the_place_of_the_log_is_named(path):
    path.mkdir(parents=True)
    with pytest.raises(UnusableError) as error:
        Log(str(path))
    assert str(error.value) == f"the log {path} cannot be written: Is a directory"


def test_a_log_of_another_user_is_named_with_what_to_do(path, monkeypatch):
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("scanner_mover.site.log.open_descriptor", refuse)
    with pytest.raises(UnusableError, match="cannot be written: Permission denied; give it to the user that runs"):
        Log(str(path))


def test_a_file_in_the_place_of_its_folder_is_named(path):
    path.parent.touch()
    with pytest.raises(UnusableError, match=r"the log .* cannot be written: "):
        Log(str(path))


def test_a_write_that_fails_ends_nothing_and_is_kept(path):
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    log = Log(str(path))
    log("message")
    assert log.failure == f"the log {path} cannot be written: No space left on device"


def test_reopened_after_it_was_renamed_it_goes_on_in_a_new_file(path):
    log = Log(str(path))
    log("before")
    path.rename(path.with_suffix(".log.1"))
    log("meanwhile")
    log.reopen()
    log("after")
    assert path.with_suffix(".log.1").read_text().count("\n") == 2
    assert path.read_text().endswith(": after\n") and path.read_text().count("\n") == 1


def test_what_cannot_be_reopened_is_named_and_the_old_file_is_kept(path):
    log = Log(str(path))
    path.rename(path.with_suffix(".log.1"))
    path.mkdir()
    log.reopen()
    log("after")
    assert log.failure == f"the log {path} cannot be written: Is a directory"
    assert path.with_suffix(".log.1").read_text().endswith(": after\n")


def test_closed_twice_it_takes_no_harm(path):
    log = Log(str(path))
    log.close()
    log.close()
    log("nobody reads this")
    assert path.read_bytes() == b""


@pytest.mark.timeout(20)
def test_a_fifo_in_the_place_of_the_log_holds_nobody(path):
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(UnusableError, match=r"the log .* cannot be written: it is not a regular file"):
        Log(str(path))


def test_a_log_that_a_site_threw_away_is_no_fault(path):
    path.parent.mkdir()
    path.symlink_to("/dev/null")
    log = Log(str(path))
    log("message")
    assert log.failure is None
