"""`.venv/bin/python -m tests.benchmarks`: measure, and print a table. Timing never decides the exit status."""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tests.benchmarks import asking, daemon, day, growth, machine, retrieving, start
from tests.benchmarks.data import Lab
from tests.benchmarks.harness import NotTheSameWorkError, Row, table
from tests.support.site import path_without_ours

_GROUPS: dict[str, Callable[[Lab], list[Row]]] = {
    "start": start.rows,
    "asking": asking.rows,
    "growth": growth.rows,
    "series": retrieving.rows_of_one_series,
    "many": retrieving.rows_of_many_images,
    "small": retrieving.rows_of_small_series,
    "small-quick": retrieving.rows_of_small_series_of_a_quick_scanner,
    "daemon": daemon.rows,
    "day": day.rows,
    "small-orthanc": retrieving.rows_of_small_series_of_orthanc,
}
# One says much the same as `small`, and both take many minutes.
_ONLY_WHEN_NAMED = {"small-orthanc", "day"}
_SAID = "ratio: the median over the rounds of ours / theirs in that round (of theirs / ours where a mark has ≥)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition(":")[2].strip())
    parser.add_argument("--rows", nargs="+", choices=_GROUPS, default=_default(), metavar="NAME", help=_names())
    parser.add_argument("--rounds", type=int, default=5, help="how often each side runs, in turn (%(default)s)")
    parser.add_argument(
        "--hour",
        action="store_true",
        help="watch the idle daemon for a real hour; let the simulated day have a pass each 15 s",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single value there")
    parser.add_argument("--markdown", action="store_true", help="print the table for a README")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds takes a number above 0")
    # As cron has it: with PYTHONDONTWRITEBYTECODE, for one, each start would compile every module of ours.
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    # pynetdicom installs tools of the same names beside our programs; Debian's Orthanc is in /usr/sbin.
    os.environ["PATH"] = os.pathsep.join([path_without_ours(), "/usr/sbin"])
    # Ended from outside: the servers and the temporary folder still go, and what was measured is shown.
    signal.signal(signal.SIGTERM, _interrupt)
    facts = machine.facts()
    rows: list[Row] = []
    failed = False
    try:
        with tempfile.TemporaryDirectory(prefix="scanner-mover.benchmarks.") as folder:
            for name in options.rows:
                try:
                    rows += _measure(name, Path(folder, name), options.rounds, options.hour)
                except NotTheSameWorkError as error:
                    failed = True
                    print(f"\n{name}: not the same work was done on both sides, so nothing is measured.\n{error}\n")
    except KeyboardInterrupt:
        print(f"\nended before {name} was measured\n")
        failed = True
    facts["load afterwards"] = machine.load()
    if options.json is not None:
        report = {"facts": facts, "rounds": options.rounds, "rows": [row.to_json() for row in rows]}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, value in facts.items():
        print(f"{name}: {value}" + ("  " if options.markdown else ""))
    print(f"{options.rounds} rounds or more, in turn; median (least–most); {_SAID}\n")
    print("\n".join(table(rows, markdown=options.markdown)))
    return int(failed)


def _measure(name: str, folder: Path, rounds: int, hour: bool) -> list[Row]:
    began = time.monotonic()
    print(f"{name} …", end="", file=sys.stderr, flush=True)
    with Lab(folder, rounds, hour=hour) as lab:
        rows = _GROUPS[name](lab)
    print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
    return rows


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _default() -> list[str]:
    return [name for name in _GROUPS if name not in _ONLY_WHEN_NAMED]


def _names() -> str:
    return f"only these of {', '.join(_GROUPS)} (default: all but {', '.join(_ONLY_WHEN_NAMED)})"


if __name__ == "__main__":
    sys.exit(main())
