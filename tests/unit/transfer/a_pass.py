"""A pass over made-up studies: what is requested, what a made-up scanner has and sends, and what comes of it."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scanner_mover import clock
from scanner_mover.failures import Failure
from scanner_mover.rules.records import ReportedSeries, StudyMemory
from scanner_mover.scanner.inventory import Everything, ImageAnswer, Place, SeriesAnswer
from scanner_mover.scanner.retrieve import Sent
from scanner_mover.site.filing import Filed
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.mpps import Step
from scanner_mover.transfer import all_requests, closed, receiving
from scanner_mover.transfer.job import Findings
from tests.unit.transfer.made import ENDED, NOW, folders, make_job

ONE, TWO, THREE = "1.2.1", "1.2.2", "1.2.3"


def names(series: str, number: int) -> list[str]:
    """The SOPInstanceUIDs of a series of this many images."""
    return [f"{series}.{one}" for one in range(1, number + 1)]


def put(root: Path, study: str, series: str, number: int) -> None:
    """So many images of a series are in `site/raw`."""
    folder = Path(DataFolders(str(root / "data")).series(study, series))
    folder.mkdir(parents=True, exist_ok=True)
    for name in names(series, number):
        (folder / name).write_text("image")


class Console:
    """A scanner, asked and told to send by a pass. `did` says what it was asked for, in that order.

    `has` are its series, `fails` the studies at which it fails, `lists` its lists of images where they differ from what
    it reports, `sends` the number of images that it sends of a series, or what it raises. `retries`: how many each
    C-MOVE may have.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.has: dict[str, list[ReportedSeries]] = {}
        self.fails: dict[str, Failure] = {}
        self.lists: dict[Place, ImageAnswer] = {}
        self.sends: dict[str, int | BaseException] = {}
        self.did: list[str] = []
        self.retries: list[int] = []

    @property
    def moves(self) -> list[str]:
        """The series that it was told to send, in that order."""
        return [line.removeprefix("move ") for line in self.did if line.startswith("move ")]

    def series(self, uids: Sequence[str]) -> dict[str, SeriesAnswer]:
        self.did.append(f"series of {' '.join(uids)}")
        return {uid: self._answer(uid) for uid in uids}

    def images(self, places: Sequence[Place]) -> dict[Place, ImageAnswer]:
        self.did.append(f"images of {' '.join(series for _, series in places)}")
        return {place: self._list(place) for place in places}

    def everything(self, uid: str, series: Sequence[str]) -> Everything:
        self.did.append(f"all of {uid}")
        return Everything(self._answer(uid), {one: self._list((uid, one)) for one in series})

    def attempt(
        self, study: str, series: str, queries: Callable[[], Iterable[Any]], retries: int, sent: Sent, reported: Any
    ) -> None:
        self.did.append(f"move {series}")
        self.retries.append(retries)
        sends = self.sends.get(series, 0)
        if isinstance(sends, BaseException):
            raise sends
        sent.moves += len(list(queries()))
        put(self.root, study, series, sends)

    def _answer(self, uid: str) -> SeriesAnswer:
        return SeriesAnswer(tuple(self.has.get(uid, ())), self.fails.get(uid))

    def _list(self, place: Place) -> ImageAnswer:
        reported = {one.series_instance_uid: one for one in self.has.get(place[0], ())}
        listed = names(place[1], reported[place[1]].number or 0)
        return self.lists.get(place, ImageAnswer(frozenset(listed), len(listed)))


class APass:
    """Passes at one site. `memory` is what is remembered of the studies, `lines` is the log.

    `before_what_was_left`: what the scanner was asked before that was filed which a killed pass left; None: nobody
    looked for it.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.folders = root, folders(root)
        self.console = Console(root)
        self.memory: dict[str, StudyMemory] = {}
        self.steps: dict[str, tuple[Step, ...]] = {}
        self.lines: list[str] = []
        self.retries_of_questions: list[int] = []
        self.before_what_was_left: list[str] | None = None
        self.saves = 0
        patch.setattr(clock, "now", lambda: NOW)
        patch.setattr(all_requests, "find_tools", lambda wanted: None)
        patch.setattr(all_requests, "Inventory", self._inventory)
        patch.setattr(all_requests, "Retriever", lambda *about: self.console)
        patch.setattr(all_requests, "Steps", lambda *about: self)
        patch.setattr(receiving, "file_left_over", self._file_left_over)
        patch.setattr(closed, "sync_file_system", lambda folder: None)

    def request(self, study: str, *series: ReportedSeries, age: float = 0.0) -> Path:
        """A study is requested, and the scanner has these series of it."""
        path = Path(self.folders.active_scans, study)
        path.write_text("")
        os.utime(path, (time.time() - age,) * 2)
        self.console.has[study] = list(series)
        return path

    def run(self, findings: Findings | None = None, **more: Any) -> Findings:
        """One pass; a request is closed without waiting. FINDINGS are what it begins with, and what it found."""
        found = findings or Findings(self.memory)
        options = {"quiet_seconds": 0.0, "keep_state": self._save} | more
        all_requests.handle(make_job(self.root, self.lines, **options), found)
        self.memory = found.memory
        return found

    def of_all(self) -> dict[str, tuple[Step, ...]]:
        self.console.did.append("mpps")
        return {uid: self.of(uid) for uid in self.console.has}

    def of(self, uid: str) -> tuple[Step, ...]:
        return self.steps.get(uid, (ENDED,))

    def _inventory(self, tools: Any, settings: Any, files: Any, retries: int, log: Any) -> Console:
        self.retries_of_questions.append(retries)
        return self.console

    def _file_left_over(self, *about: Any) -> Filed:
        self.before_what_was_left = self.console.did.copy()
        return Filed()

    def _save(self) -> None:
        self.saves += 1
