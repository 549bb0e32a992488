"""The table of the benchmarks says what was measured."""

import os
import sys
import time

import pytest

from tests.benchmarks.harness import NotTheSameWorkError, Ran, Row, Sample, in_turn, run, table


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    row = Row("group", "what", Sample((2, 30, 4)), "raw", Sample((1, 10, 1)), 3)
    assert row.ratios == Sample((2, 3, 4), "x")
    assert row.reached is True
    assert Row("group", "what", row.ours, "raw", row.theirs, 2.9).reached is False


def test_faster_turns_the_ratio_and_the_mark_around() -> None:
    row = Row("group", "what", Sample((1, 1)), "raw", Sample((4, 8)), 5, faster=True)
    assert row.ratios == Sample((4, 8), "x")
    assert row.reached is True
    assert Row("group", "what", row.ours, "raw", row.theirs, 7, faster=True).reached is False
    assert "≥ 5 x" in row.cells()


def test_rounds_that_one_side_did_not_run_are_left_out() -> None:
    row = Row("group", "what", Sample((2, 4, 100)), "raw", Sample((1, 1)))
    assert row.ratios == Sample((2, 4), "x")


def test_value_without_another_side_is_held_against_the_mark() -> None:
    assert Row("group", "what", Sample((1, 2, 9), "MiB"), mark=2).reached is True
    assert Row("group", "what", Sample((1, 3, 9), "MiB"), mark=2).reached is False
    assert Row("group", "what", Sample((1, 2, 9), "MiB")).reached is None


def test_sides_run_in_turn() -> None:
    order: list[str] = []

    def side(name: str) -> Ran:
        order.append(name)
        return Ran(len(order), 0, 0, "")

    ran = in_turn(2, {"ours": lambda: side("ours"), "raw": lambda: side("raw")})
    assert order == ["ours", "raw", "ours", "raw"]
    assert [one.seconds for one in ran["ours"]] == [1, 3]


def test_table_has_every_row_with_its_verdict() -> None:
    rows = [
        Row("group", "quick", Sample((1.0,)), "raw", Sample((2.0,)), 1),
        Row("group", "slow", Sample((5.0, 7.0, 6.0)), "raw", Sample((2.0, 2.0, 2.0)), 1),
    ]
    lines = table(rows)
    assert lines[2].split() == ["quick", "1.00", "s", "raw", "2.00", "s", "0.50", "x", "≤", "1", "x", "yes"]
    assert "6.00 (5.00–7.00) s" in lines[3]
    assert lines[3].endswith("NO")
    assert table(rows, markdown=True)[1] == "|---|---|---|---|---|---|---|"


def test_run_measures_wall_cpu_of_children_and_own_memory() -> None:
    busy = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    program = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {busy!r}]); time.sleep(0.1)"
    ran = run([sys.executable, "-c", program], os.environ)
    assert ran.seconds >= 0.3
    assert ran.cpu_seconds >= 0.2
    large = run([sys.executable, "-c", "b = bytearray(b'1') * (64 << 20); import time; time.sleep(0.2)"], {}, peak=True)
    assert 64 << 20 <= large.peak_bytes < 128 << 20


def test_run_does_not_wait_for_a_reader() -> None:
    began = time.monotonic()
    ran = run([sys.executable, "-c", "print('x' * 1_000_000)"], {})
    assert len(ran.output) == 1_000_001
    assert time.monotonic() - began < 30


def test_another_exit_status_is_loud() -> None:
    with pytest.raises(NotTheSameWorkError, match="ended with 3:\nwhy"):
        run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], os.environ)
