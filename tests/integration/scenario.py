"""A site and a scanner: studies are acquired, passes are made, and after each pass the invariants are checked."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pydicom

from scanner_mover import clock
from tests.faults.table import Entry
from tests.integration import invariants
from tests.integration.invariants import Scanner
from tests.support.objects import by_study, mr_series, uid
from tests.support.scripted import ScriptedScanner
from tests.support.site import BIN, Site

# libfaketime fakes the monotonic clock as well, and with it the time limits of Python's threads: they never end.
_WALL_CLOCK_ONLY = "--exclude-monotonic"
_MORE_THAN_ANY_PAUSE = 4000.0


class Study(NamedTuple):
    """A study that was acquired: its UID and, for each SeriesInstanceUID, the files."""

    uid: str
    series: dict[str, list[Path]]

    @property
    def paths(self) -> list[Path]:
        return [path for images in self.series.values() for path in images]


class Scenario:
    """`site` and `scanner`, and what is requested there."""

    def __init__(self, folder: Path, site: Site, scanner: Scanner, entry: Entry | None = None) -> None:
        """`entry`: where passes are counted for the fault laboratory's table; `entries` may hold several."""
        self.folder = folder
        self.site = site
        self.entries = [] if entry is None else [entry]
        self.scanner = scanner
        self.requested: list[str] = []
        self._acquired = folder / "acquired"
        temporary = folder / "temporary"
        temporary.mkdir()
        site.environment["TMPDIR"] = str(temporary)

    # What happens at the scanner and around it

    def acquire(
        self,
        *images: int,
        make: Callable[..., list[Path]] = mr_series,
        study_instance_uid: str | None = None,
        mpps: bool = True,
        ended: bool | None = True,
        request: bool = True,
    ) -> Study:
        """A study with a series of this many `images` each, at the scanner; its MPPS file; its request."""
        study_instance_uid = study_instance_uid or uid()
        study = Study(study_instance_uid, {})
        for number, count in enumerate(images, 1):
            self.add_series(study, number, count, make=make)
        if mpps:
            self.site.mpps(study_instance_uid, ended=ended)
        if request:
            self.request(study)
        return study

    def add_series(
        self, study: Study, number: int, images: int, make: Callable[..., list[Path]] = mr_series
    ) -> list[Path]:
        """One more series of the study, at the scanner."""
        series_instance_uid = f"{study.uid}.{number}"
        folder = self._acquired / series_instance_uid
        paths = make(folder, study_instance_uid=study.uid, series_instance_uid=series_instance_uid, images=images)
        study.series[series_instance_uid] = paths
        if isinstance(self.scanner, ScriptedScanner):
            self.scanner.studies.setdefault(study.uid, {}).update(by_study(paths)[study.uid])
        else:
            self.scanner.store(paths)
        return paths

    def request(self, study: Study, age_seconds: float = 0) -> None:
        self.site.request(study.uid, age_seconds)
        if study.uid not in self.requested:
            self.requested.append(study.uid)

    def have(self, paths: list[Path]) -> None:
        """These images are in site/raw, as an earlier pass, or the other program's daemon, filed them."""
        file = shutil.copyfile if self.site.receive else os.symlink
        for path in paths:
            file(path, self.filed(path, make=True))

    def filed(self, path: Path, *, make: bool = False) -> Path:
        """Where the image lies in site/raw when it is there."""
        header = pydicom.dcmread(path, stop_before_pixels=True)
        folder = self.site.series(str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        return folder / str(header.SOPInstanceUID)

    def time_passes(self, seconds: float) -> None:
        """The next pass finds that the monotonic clock went on: the moments in the state file are so much longer ago.

        (They cannot be faked from outside, see _WALL_CLOCK_ONLY.)
        """
        assert time_passes(self.site, seconds), "no pass has kept a moment"

    def every_pause_is_over(self) -> None:
        """The next pass comes later than any pause after a fruitless attempt lasts (R29), if the state has any."""
        # A state that a test has damaged has none.
        with contextlib.suppress(OSError, ValueError):
            time_passes(self.site, _MORE_THAN_ANY_PAUSE)

    # Passes

    def a_pass(
        self, *arguments: str, exit_status: int = 0, clock: str | None = None, **more: Any
    ) -> "CompletedProcess[str]":
        """`scanner-mover move`, with its wall clock set by `clock` (`+1d`, faketime); then the invariants."""
        site = self.site
        if clock is None:
            done = site.move(*arguments, **more)
        else:
            faketime = shutil.which("faketime")
            assert faketime, "faketime is not installed"
            move = ("move", *(("--receive",) if site.receive else ()), *arguments)
            program = str(BIN / "scanner-mover")
            done = site.mover("-f", _WALL_CLOCK_ONLY, clock, program, *move, program=faketime, **more)
        self.check(done, exit_status)
        return done

    def check(self, done: "CompletedProcess[str]", exit_status: int) -> None:
        """What holds for every run, and the invariants."""
        assert done.returncode == exit_status, (done, self.site.log())
        assert "Traceback" not in done.stderr + self.site.log(), done.stderr
        invariants.assert_no_patient(done.stdout + done.stderr)
        for entry in self.entries:
            entry.count()
        invariants.check(self.site, self.scanner, self.requested)

    def report(self, *arguments: str, exit_status: int = 0, **more: Any) -> dict[str, Any]:
        """The object of a pass with `--json`."""
        done = self.a_pass("--json", *arguments, exit_status=exit_status, **more)
        lines = done.stdout.splitlines()
        assert len(lines) == 1, done
        value = json.loads(lines[0])
        assert isinstance(value, dict)
        return value

    # What came of it

    def where(self, study: Study) -> str:
        """The folder that the request of the study is in."""
        for name in invariants.FOLDERS:
            if study.uid in self.site.requests_in(name):
                return name
        raise AssertionError(f"{study.uid} is not requested")

    def pulls(self) -> list[str]:
        """The `pull series` lines of the log, in order: STUDY SERIES."""
        begin = "pull series "
        return [text.split(" from ")[0].removeprefix(begin) for text in self.said(begin)]

    def said(self, text: str) -> list[str]:
        """The log's messages that contain `text`."""
        return [message for message in self.site.messages() if text in message]


def time_passes(site: Site, seconds: float) -> int:
    """Move every moment in the state file of `site`, and in its index of MPPS files, this many seconds back.

    Gives how many there are in the state.
    """
    state = site.state()
    moments = _move_back(state, seconds)
    site.state_file.write_text(json.dumps(state), encoding="utf-8")
    index = site.server / ".pids" / "moveFromScanner.mpps.json"
    if index.is_file():
        known = json.loads(index.read_text(encoding="utf-8"))
        _move_back(known, seconds)
        index.write_text(json.dumps(known), encoding="utf-8")
    return moments


def _move_back(value: Any, seconds: float) -> int:
    """Move the moments anywhere in the value back: each is a list of this start of the machine and seconds of it."""
    if isinstance(value, dict):
        return sum(_move_back(one, seconds) for one in value.values())
    if not isinstance(value, list):
        return 0
    if len(value) == 2 and value[0] == clock.now().boot and isinstance(value[1], int | float):
        value[1] -= seconds
        return 1
    return sum(_move_back(one, seconds) for one in value)


def outcomes(report: Mapping[str, Any]) -> dict[str, str]:
    """{StudyInstanceUID: outcome} of the object of a pass."""
    return {study["study"]: study["outcome"] for study in report["studies"]}
