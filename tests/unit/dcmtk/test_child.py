"""When a tool that runs may not go on, on a clock of the test, and lines out of chunks."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner_mover.dcmtk import child
from scanner_mover.dcmtk.child import Ending, Limits, Why, _Lines, _Watch

MIB = 1024 * 1024


class Clock:
    """A watch of LIMITS, with a clock that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
        self.now = 100.0
        monkeypatch.setattr(child, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.watch = _Watch(limits)
        self.watch.judge(0)

    def after(self, seconds: float, size: int = 0) -> Ending | None:
        self.now += seconds
        return self.watch.judge(size)


def why(ending: Ending | None) -> Why | None:
    return ending and ending.why


def test_without_limits_nothing_ends_it_but_output_without_end(monkeypatch):
    clock = Clock(monkeypatch, Limits())
    assert clock.after(1_000_000) is None
    assert clock.after(1, 256 * MIB) is None
    assert why(clock.after(0, 256 * MIB + 1)) is Why.ENDLESS_OUTPUT


def test_neither_output_nor_progress_for_the_stall_limit_ends_it(monkeypatch):
    progress = [0]
    clock = Clock(monkeypatch, Limits(stall_seconds=10, progress=lambda: progress[0]))
    assert clock.after(9) is None
    assert clock.after(9, size=1) is None, "it printed"
    assert clock.after(9, size=1) is None
    progress[0] = 1
    assert clock.after(2, size=1) is None, "something changed elsewhere"
    assert clock.after(9, size=1) is None
    assert clock.after(1, size=1) == Ending(Why.NO_PROGRESS, "ended: no progress for 10 s")


def test_output_alone_does_not_keep_it_beyond_the_other_limit(monkeypatch):
    progress = [0]
    clock = Clock(monkeypatch, Limits(stall_seconds=10, most_seconds=30, progress=lambda: progress[0]))
    for size in range(1, 5):
        assert clock.after(6, size) is None
    progress[0] = 1
    for size in range(5, 10):
        assert clock.after(6, size) is None
    assert clock.after(6, 10) == Ending(Why.TOO_LONG, "ended: no progress for 30 s")


def test_it_is_looked_at_now_and_then_only(monkeypatch):
    looks: list[int] = []
    clock = Clock(monkeypatch, Limits(stall_seconds=100, progress=lambda: looks.append(1)))
    for _ in range(100):
        clock.after(0.01)
    assert len(looks) == 3


def test_a_limit_of_the_caller_counts_at_once(monkeypatch):
    reported: list[str] = []
    clock = Clock(monkeypatch, Limits(stall_seconds=100, over_limit=lambda: reported[0] if reported else None))
    assert clock.after(0.01) is None
    reported.append("ended: too much")
    assert clock.after(0.01) == Ending(Why.LIMIT, "ended: too much")


@given(chunks=st.lists(st.binary(max_size=20)))
def test_lines_are_those_of_the_whole_however_it_is_cut(chunks):
    lines: list[str] = []
    made = _Lines(lines.append)
    for chunk in chunks:
        made.feed(chunk)
    made.flush()
    whole = b"".join(chunks)
    assert made.size == len(whole)
    assert [line.encode("utf-8", "surrogateescape") for line in lines] == [
        line.rstrip(b"\r") for line in whole.split(b"\n") if line
    ]


def test_of_a_line_without_end_the_beginning_is_kept():
    lines: list[str] = []
    made = _Lines(lines.append)
    for _ in range(40):
        made.feed(b"x" * 65536)
    made.feed(b"\nnext\n")
    assert [len(line) for line in lines] == [MIB, 4]
