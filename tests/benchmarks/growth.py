"""How a pass grows with requests and MPPS files, its memory, and `status` over 1,000 requests."""

import contextlib
import ctypes
import json
import os
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.data import Lab, Study, a_waiting_pass, waiting_site
from tests.benchmarks.data import studies as make_studies
from tests.benchmarks.harness import Ran, Row, Sample, cpu, in_turn, milliseconds, must, run
from tests.support.orthanc import Orthanc
from tests.support.site import BIN, Site

_MPPS_FILES = 1000
_MANY_MPPS_FILES = 20_000


def rows(lab: Lab) -> list[Row]:
    studies = make_studies(lab.folder("studies"), 1000, 2, 1)
    # With TCP_NODELAY: the 40 ms that each query waits for a scanner as it comes would hide what grows here.
    scanner = lab.scanner(Orthanc, studies, tcp_nodelay=True)
    requested = {number: studies[:number] for number in (10, 100, 1000)}
    sites = {number: waiting_site(lab.folder("site"), scanner, some, _MPPS_FILES) for number, some in requested.items()}
    many = waiting_site(lab.folder("site"), scanner, requested[100], _MANY_MPPS_FILES)
    first = a_waiting_pass(sites[1000], requested[1000], peak=True)
    for number in (10, 100):
        a_waiting_pass(sites[number], requested[number])
    first_of_many = a_waiting_pass(many, requested[100])
    ran = in_turn(
        lab.rounds,
        {
            "10": lambda: a_waiting_pass(sites[10], requested[10]),
            "100": lambda: a_waiting_pass(sites[100], requested[100]),
            "1000": lambda: a_waiting_pass(sites[1000], requested[1000], peak=True),
            "many MPPS files": lambda: a_waiting_pass(many, requested[100]),
        },
    )
    rows = []
    for what, of in (("wall", _wall_for_each), ("CPU", _cpu_for_each)):
        base = of(ran["100"], 100)
        for number in (1000, 10):
            mark = 1.2 if (what, number) == ("wall", 1000) else None
            ours = of(ran[str(number)], number)
            rows.append(
                Row(
                    "growth",
                    f"{what} a request, {number} requests, Orthanc with TCP_NODELAY",
                    ours,
                    "100 requests",
                    base,
                    mark,
                )
            )
    for what, of in (("wall", _wall_for_each), ("CPU", _cpu_for_each)):
        ours, base = of(ran["many MPPS files"], 100), of(ran["100"], 100)
        rows.append(Row("growth", f"{what} a request, 100 requests, 20,000 MPPS files", ours, "1,000 MPPS files", base))
    rows.append(
        Row(
            "growth",
            "CPU a request, 100 requests, 20,000 MPPS files, the first pass",
            _cpu_for_each([first_of_many], 100),
        )
    )
    opened = _mpps_files_opened(many, requested[100])
    rows.append(
        Row("growth", "unchanged MPPS files opened again, of 20,000", Sample((float(opened),), "files"), mark=0)
    )
    peaks = Sample(tuple(one.peak_bytes / 1e6 for one in [first, *ran["1000"]]), "MB")
    # Also the first pass: the worst of them has to stay below.
    worst = Sample((max(peaks.values),), "MB")
    rows.append(Row("growth", "peak memory of our own process, 1,000 requests", worst, mark=60))
    scanner.stop()
    return rows + _status(lab, sites[1000])


def _wall_for_each(ran: list[Ran], requests: int) -> Sample:
    return Sample(tuple(one.seconds * 1000 / requests for one in ran), "ms")


def _cpu_for_each(ran: list[Ran], requests: int) -> Sample:
    return Sample(tuple(one.cpu_seconds * 1000 / requests for one in ran), "ms")


def _status(lab: Lab, site: Site) -> list[Row]:
    def status(*arguments: str) -> Ran:
        return run([str(BIN / "scanner-mover"), "status", *arguments], site.environment)

    def shown() -> Ran:
        ran = status()
        lines = sum("2 of 2" in line for line in ran.output.splitlines())
        must(lines == 1000, f"status showed {lines} of 1000 requests")
        return ran

    def as_json() -> Ran:
        ran = status("--json")
        must(len(json.loads(ran.output)["requests"]) == 1000, "status --json left requests out")
        return ran

    sides = {
        "table": shown,
        "json": as_json,
        "python": lambda: run([sys.executable, "-c", "import typer, rich"], site.environment),
    }
    in_turn(1, sides)
    ran = in_turn(max(lab.rounds, 10), sides)
    python = milliseconds(ran["python"])
    against = 'python -c "import typer, rich"'
    return [
        Row("growth", "status, 1,000 requests", milliseconds(ran["table"]), against, python, 2),
        Row("growth", "status, 1,000 requests: CPU", cpu(ran["table"]), against, cpu(ran["python"])),
        Row("growth", "status --json, 1,000 requests", milliseconds(ran["json"]), against, python),
    ]


def _mpps_files_opened(site: Site, requested: list[Study]) -> int:
    """How many MPPS files one more pass opens, whoever of it does (inotify(7))."""
    with _opened(site.data / "scanner") as names:
        a_waiting_pass(site, requested)
    return len(names)


_IN_OPEN = 0x20
_IN_Q_OVERFLOW = 0x4000


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[set[str]]:
    """The names of the files in `folder` that anybody opens while the block runs; complete at its end.

    A last file that is opened by us, and has to be seen, ends it: so a kernel that tells nothing is not taken for none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_CLOEXEC)
    must(inotify >= 0 and libc.inotify_add_watch(inotify, os.fsencode(folder), _IN_OPEN) >= 0, "no inotify")
    names: set[str] = set()
    last = folder / "last"

    def read() -> None:
        # The queue is short: it is emptied while the block runs.
        while last.name not in names:
            events = os.read(inotify, 2**20)
            while events:
                _, mask, _, length = struct.unpack_from("iIII", events)
                must(not mask & _IN_Q_OVERFLOW, "too many files were opened at once to count them")
                name, events = events[16 : 16 + length].rstrip(b"\0").decode(), events[16 + length :]
                if name:
                    names.add(name)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    try:
        yield names
    finally:
        last.touch()
        reading.join(10)
        last.unlink()
        must(last.name in names, "the kernel does not tell which files are opened")
        os.close(inotify)
        names.discard(last.name)
