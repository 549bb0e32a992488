"""When the passes of `--every` begin: a clock that the test moves, and passes that take as long as it says."""

import signal
from collections.abc import Sequence

import pytest

from scanner_mover import signals
from scanner_mover.arguments import MoveOptions
from scanner_mover.commands import daemon, installed
from scanner_mover.errors import Ended, ExitStatus


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """When passes of these lengths begin, in seconds since the first."""

    def run(every_seconds: float, lengths: Sequence[float]) -> list[float]:
        now, times, left = 1000.0, [], list(lengths)

        def make_pass(*_: object) -> int:
            nonlocal now
            if not left:
                raise Ended(signal.SIGTERM)
            times.append(now - 1000)
            now += left.pop(0)
            return ExitStatus.OK

        def sleep(seconds: float) -> None:
            nonlocal now
            now += max(0.0, seconds)

        monkeypatch.setattr(daemon.time, "monotonic", lambda: now)
        monkeypatch.setattr(signals, "sleep", sleep)
        monkeypatch.setattr(daemon, "make_pass", make_pass)
        monkeypatch.setattr(installed, "load_all", lambda **_: None)
        monkeypatch.setattr(signals, "install", lambda **_: None)
        options = MoveOptions(server_dir=str(tmp_path), config=str(tmp_path / "config.json"))
        assert daemon.keep_running(options, "scanner-mover", every_seconds) == ExitStatus.OK
        return times

    return run


def test_passes_begin_at_fixed_times_however_long_they_take(begun):
    assert begun(15, [1, 14, 0, 7, 1]) == [0, 15, 30, 45, 60]


def test_a_long_pass_makes_the_next_start_at_once_and_none_is_queued_up(begun):
    # Those of 15 and 30 were missed: one begins at once, the others are not caught up.
    assert begun(15, [40, 1, 1]) == [0, 40, 45]


def test_a_pass_that_takes_just_as_long_as_the_time_between_two(begun):
    assert begun(15, [15, 15, 1]) == [0, 15, 30]


def test_passes_that_are_always_too_long_follow_each_other(begun):
    assert begun(15, [20, 20, 20, 1]) == [0, 20, 40, 60]
