"""What is written into a file is there whole or not at all; JSON is one line that no terminal obeys."""

import io
import json
import os
import stat
import sys

import pytest

from scanner_mover.display.output import bring_out, finish, json_line, put
from scanner_mover.display.stream import Stream
from scanner_mover.errors import UnusableError


def test_a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with open(path) as reader:
        put("new ü\n", str(path))
        assert reader.read() == "old"
    assert path.read_text(encoding="utf-8") == "new ü\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_may_be_read_as_the_umask_says(tmp_path):
    path = tmp_path / "metrics.prom"
    old = os.umask(0o027)
    try:
        put("", str(path))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "web").mkdir()
    link = tmp_path / "page.html"
    link.symlink_to(tmp_path / "web" / "page.html")
    put("new", str(link))
    assert link.is_symlink()
    assert (tmp_path / "web" / "page.html").read_text() == "new"


@pytest.mark.parametrize("kind", ["folder", "fifo", "missing folder"])
def test_what_cannot_be_replaced_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "there"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = tmp_path / "none" / "page.html"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UnusableError, match=str(path)):
        put("new", str(path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_device_is_refused():
    with pytest.raises(UnusableError, match="/dev/null is not a regular file"):
        put("new", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("text", ["plain", "ü頭", "\x1b[2J", "\x9b31m", "two\nlines", "\u2028", "\ud800"])
def test_json_is_one_line_that_a_terminal_does_not_obey(text):
    line = json_line({"text": text})
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert json.loads(line) == {"text": text}


def test_what_cannot_be_written_is_said_once_and_again_when_it_had_been_written_meanwhile(monkeypatch, capsys):
    raw = Stream(1, is_closed=False)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw)))

    def said(failure: str | None) -> tuple[bool, str]:
        raw.failure = failure
        return bring_out(), capsys.readouterr().err.removeprefix("scanner-mover: standard output cannot be written: ")

    full, gone = "No space left on device", "Broken pipe"
    assert [said(one) for one in (full, full, gone, gone, None, gone)] == [
        *((False, f"{full}\n"), (False, ""), (False, f"{gone}\n"), (False, "")),
        *((True, ""), (False, f"{gone}\n")),
    ]


def test_a_signal_at_the_end_does_not_have_it_said_a_second_time(monkeypatch, capsys):
    """Of a daemon whose reader has gone, and whose pass is ended while it prints."""
    raw = Stream(1, is_closed=False)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(raw)))
    for end in (bring_out, lambda: finish(0, was_the_job=True)):
        raw.failure = "Broken pipe"
        end()
    assert capsys.readouterr().err.count("\n") == 1
