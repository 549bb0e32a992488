"""Processes run and timed in turn, and the table of what came out."""

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_SECONDS = 600
_SECONDS_BETWEEN_LOOKS = 0.01
_LINES_OF_OUTPUT = 40


class NotTheSameWorkError(Exception):
    """A side did not do what is measured, so its time means nothing."""


@dataclass(frozen=True)
class Ran:
    """One process from its start to its end: wall time, CPU of it and its children, its own peak memory if wanted."""

    seconds: float
    cpu_seconds: float
    exit_status: int
    output: str
    peak_bytes: int = 0


@dataclass(frozen=True)
class Sample:
    """What one side took in each round, in UNIT."""

    values: tuple[float, ...]
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        text = _number(self.median)
        if len(self.values) > 1:
            text += f" ({_number(min(self.values))}–{_number(max(self.values))})"
        return f"{text} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One line of the table: `what` took `ours`, `against` took `theirs`, and which ratio, or value, is to be reached.

    The ratio is the median over the rounds of ours / theirs in that round (with `faster` theirs / ours). Without
    `theirs` the mark is for the median of `ours`. Without a `mark` the row informs.
    """

    group: str
    what: str
    ours: Sample
    against: str = ""
    theirs: Sample | None = None
    mark: float | None = None
    faster: bool = False

    @property
    def ratios(self) -> Sample | None:
        if self.theirs is None:
            return None
        # A slow side may have had fewer rounds: those are paired that were run in turn.
        pairs = zip(self.ours.values, self.theirs.values, strict=False)
        return Sample(tuple(theirs / ours if self.faster else ours / theirs for ours, theirs in pairs), "x")

    @property
    def reached(self) -> bool | None:
        if self.mark is None:
            return None
        ratios = self.ratios
        value = self.ours.median if ratios is None else ratios.median
        return value >= self.mark if self.faster else value <= self.mark

    def cells(self) -> list[str]:
        """The row as the table has it."""
        mark = ""
        if self.mark is not None:
            unit = self.ours.unit if self.theirs is None else "x"
            mark = f"{'≥' if self.faster else '≤'} {self.mark:g} {unit}"
        reached = {None: "", True: "yes", False: "NO"}[self.reached]
        theirs = "" if self.theirs is None else str(self.theirs)
        ratios = "" if self.ratios is None else str(self.ratios)
        return [self.what, str(self.ours), self.against, theirs, ratios, mark, reached]

    def to_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "what": self.what,
            "unit": self.ours.unit,
            "ours": list(self.ours.values),
            "against": self.against or None,
            "theirs": None if self.theirs is None else list(self.theirs.values),
            "ratios": None if self.ratios is None else list(self.ratios.values),
            "ratio": None if self.ratios is None else self.ratios.median,
            "mark": self.mark,
            "faster": self.faster,
            "reached": self.reached,
        }


HEADINGS = ["what", "ours", "against", "theirs", "ratio", "mark", "reached"]


def table(rows: Sequence[Row], *, markdown: bool = False) -> list[str]:
    """The lines of the table."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    if markdown:
        lines = ["| " + " | ".join(line) + " |" for line in cells]
        return [lines[0], "|" + "---|" * len(HEADINGS), *lines[1:]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def in_turn(rounds: int, sides: Mapping[str, Callable[[], Ran]]) -> dict[str, list[Ran]]:
    """Run every side once in each round, so that whatever else the machine does meets all of them."""
    ran: dict[str, list[Ran]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            ran[name].append(side())
    return ran


def wall(ran: Sequence[Ran]) -> Sample:
    return Sample(tuple(one.seconds for one in ran))


def milliseconds(ran: Sequence[Ran]) -> Sample:
    """The wall times in ms."""
    return Sample(tuple(one.seconds * 1000 for one in ran), "ms")


def cpu(ran: Sequence[Ran]) -> Sample:
    return Sample(tuple(one.cpu_seconds for one in ran), "s CPU")


def run(arguments: Sequence[str], variables: Mapping[str, str], *, peak: bool = False, exit_status: int = 0) -> Ran:
    """Run a program to its end, with nothing but `variables` in its environment.

    `peak`: look at its own peak memory (VmHWM) while it runs. Its output goes to a file, so that nothing waits for us.
    Raises NotTheSameWorkError for another exit status.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            start_new_session=True,
        )
        watchdog = threading.Timer(_MOST_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.daemon = True
        watchdog.start()
        most = 0
        try:
            pid, status = 0, 0
            while peak and pid == 0:
                most = max(most, peak_bytes(process.pid))
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid == 0:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
            if pid == 0:
                _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        except BaseException:  # we are ended: what runs would go on in a folder that is being removed
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="backslashreplace")
    if process.returncode != exit_status:
        said = "\n".join(text.splitlines()[-_LINES_OF_OUTPUT:])
        raise NotTheSameWorkError(f"{' '.join(arguments)[:2000]} ended with {process.returncode}:\n{said}")
    return Ran(seconds, usage.ru_utime + usage.ru_stime, process.returncode, text, most)


def peak_bytes(process_id: int) -> int:
    """The peak resident memory of a process up to now; 0 when it has ended.

    Not ru_maxrss: that counts what the parent had when it forked.
    """
    try:
        status = Path("/proc", str(process_id), "status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def must(condition: object, what: str) -> None:
    """Raise NotTheSameWorkError with `what` unless `condition`."""
    if not condition:
        raise NotTheSameWorkError(what)


def _number(value: float) -> str:
    """Three digits that say something."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3g}"
