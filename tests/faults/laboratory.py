"""How a fault of the scanner is run: studies fail, passes are made, the fault ends, and all of them must finish."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.faults.limits import short_limits
from tests.faults.table import Entry
from tests.integration.scenario import Scenario, Study, outcomes
from tests.support.objects import mr_series
from tests.support.scripted import Script, ScriptedScanner

# So many passes without help must be enough when a fault has ended.
_PASSES_TO_FINISH = 2


@dataclass
class FailingStudy:
    """A study that the scanner has a fault with: its script is `script`, for requests about this study alone."""

    study: Study
    scanner: ScriptedScanner
    healthy: Study
    place: float
    """Where in its messages the fault is: 0 is the first, 1 the last."""
    folder: Path
    """Where files that the scanner sends and does not have can be made."""
    numbers: random.Random
    passes: int = 0
    """How many passes the fault has seen."""
    script: Script = field(default_factory=Script)

    @property
    def series_instance_uid(self) -> str:
        """Its first series."""
        return next(iter(self.study.series))

    @property
    def images(self) -> int:
        """How many images its first series has."""
        return len(self.study.series[self.series_instance_uid])

    def at(self, last: int) -> int:
        """The number of the message at the place, of those from 0 to `last`."""
        return round(self.place * last)

    def copy(self, path: Path, change: Callable[[Dataset], object]) -> Path:
        """A copy of the image that `change` changes and the scanner does not have, as a file to send."""
        image = pydicom.dcmread(path)
        change(image)
        return self.save(path, image)

    def save(self, path: Path, image: Dataset | bytes) -> Path:
        self.folder.mkdir(exist_ok=True)
        copy = self.folder / f"{len(list(self.folder.iterdir()))}.{path.name}"
        if isinstance(image, bytes):
            copy.write_bytes(image)
        else:
            image.save_as(copy, enforce_file_format=False)
        return copy


@dataclass(frozen=True)
class Fault:
    """A fault of the scanner: its name in the table, what the script does, and what a pass makes of it.

    `outcome` of the study is what the report says while the fault is there: the pass ends with exit status 5 when it
    is "error", else with 0. `cause` stands in the log in what a pass says of the study; {n}, {more} and {less} in it
    are the number of images of its first series, one more and one less. Of several outcomes, or causes, one is enough.
    """

    name: str
    begin: Callable[[FailingStudy], Any]
    outcome: str | tuple[str, ...]
    cause: str | tuple[str, ...]
    silent: bool = False
    """Nothing but the mover's own time limits ends it."""
    alone: bool = False
    """It hits whole associations, or the rest of a pass: the studies beside it may have to wait for its end."""
    make: Callable[..., list[Path]] = mr_series
    images: int = 3
    quick: bool = True
    """Also in the size that fits CI."""

    def __str__(self) -> str:
        return self.name

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.outcome,) if isinstance(self.outcome, str) else self.outcome


class Laboratory:
    """Runs faults at one site, one after another or beside each other."""

    def __init__(
        self, scenario: Scenario, scanner: ScriptedScanner, request: pytest.FixtureRequest, seed: int = 1
    ) -> None:
        self.scenario = scenario
        self._scanner = scanner
        self._request = request
        self._numbers = random.Random(seed)
        self._had_faults: list[tuple[FailingStudy, Entry]] = []

    def run(
        self, steps: Iterable[Sequence[Fault]], *, passes: int = 1, place: float = 0.5, sizes: Sequence[int] = ()
    ) -> None:
        """The faults of each step at once, step after step, for a number of passes; then they end.

        `sizes`: the numbers of images of each series of a failing study instead of the fault's own.
        """
        healthy = self.scenario.acquire(1)
        # The youngest: a pass comes to it after the failing ones.
        self.scenario.request(healthy)
        for faults in steps:
            failing = [self._begin(fault, healthy, place, sizes) for fault in faults]
            entries = [Entry(self._request, fault.name) for fault in faults]
            self.scenario.entries = entries
            with short_limits(self.scenario.site, when=any(fault.silent for fault in faults)):
                for _ in range(passes):
                    self._a_pass(list(zip(failing, faults, entries, strict=True)))
                    if not any(fault.alone for fault in faults):
                        assert self.scenario.where(healthy) == "finished-scans", "a healthy study had to wait"
            self._had_faults += zip(failing, entries, strict=True)
            self._scanner.scripts.clear()
            self._scanner.script = Script()
        self._recover(healthy)

    def _begin(self, fault: Fault, healthy: Study, place: float, sizes: Sequence[int]) -> FailingStudy:
        if fault.alone and self._had_faults:
            last = self._had_faults[-1][0]
            sound = len(last.study.paths) == fault.images and not self._here(last.study)
            if sound and self.scenario.where(last.study) == "active-scans":
                # One study takes one fault after the other, which saves a C-MOVE.
                return last
        study = self.scenario.acquire(*(sizes or [fault.images]), make=fault.make)
        self.scenario.request(study, age_seconds=60)
        return FailingStudy(study, self._scanner, healthy, place, self.scenario.folder / "sent", self._numbers)

    def _a_pass(self, failing_ones: Sequence[tuple[FailingStudy, Fault, Entry]]) -> None:
        for failing, fault, _ in failing_ones:
            failing.script = self._scanner.scripts[failing.study.uid] = Script()
            if self.scenario.where(failing.study) == "active-scans":
                fault.begin(failing)
        if any(failing.passes for failing, _, _ in failing_ones):
            # Otherwise the scanner would not be asked, and the fault not be met.
            self.scenario.every_pause_is_over()
        said = len(self.scenario.site.messages())
        there = [one for one in failing_ones if self.scenario.where(one[0].study) == "active-scans"]
        allowed = {failing.study.uid: self._allowed(failing, fault) for failing, fault, _ in there}
        done = self.scenario.site.move("--json")
        report = json.loads(done.stdout) if done.stdout else {"studies": []}
        found, errors = outcomes(report), {study["study"]: study["error"] or "" for study in report["studies"]}
        messages = self.scenario.site.messages()[said:]
        wrong = []
        for failing, fault, entry in there:
            uid, n = failing.study.uid, failing.images
            # Of a study that has seen the fault before, less may be asked for, and end in other words.
            met = found.get(uid) in fault.outcomes and not failing.passes
            all_causes = (fault.cause,) if isinstance(fault.cause, str) else fault.cause
            causes = [cause.format(n=n, more=n + 1, less=n - 1) for cause in all_causes] if met else [""]
            # The log has a cause when it is new, the report and `status` as long as it is there.
            about = [*_about(messages, uid), errors.get(uid, "")]
            if found.get(uid) not in allowed[uid] or not any(cause in message for cause in causes for message in about):
                wrong.append((fault.name, found.get(uid), about))
                entry.broke()
        assert not wrong, (wrong, done.stderr)
        # What an earlier pass met holds, with its exit status, until a pass tests it.
        holds = done.returncode == 5 and bool(self._had_faults or any(failing.passes for failing, _, _ in there))
        self.scenario.check(done, exit_status=5 if holds or "error" in found.values() else 0)
        for failing, _, _ in failing_ones:
            failing.passes += 1

    def _allowed(self, failing: FailingStudy, fault: Fault) -> set[str]:
        """What a pass may make of the study."""
        # Of a study of which some images are here only the others are sent: the fault may not be met.
        finished = {"finished"} if self._here(failing.study) else set()
        # A study that has seen the fault before may be reported as stuck, or be asked for in another way (R30, R31).
        again = {"waiting", "error"} if failing.passes else set()
        return {*fault.outcomes, *finished, *again}

    def _here(self, study: Study) -> bool:
        return any(self.scenario.filed(path).exists() for path in study.paths)

    def _recover(self, healthy: Study) -> None:
        """Without help: everything is finished when the faults are gone."""
        self.scenario.entries = [entry for _, entry in self._had_faults]
        studies = [healthy, *(failing.study for failing, _ in self._had_faults)]
        for _ in range(_PASSES_TO_FINISH):
            if any(self.scenario.where(study) == "active-scans" for study in studies):
                self.scenario.every_pause_is_over()
                done = self.scenario.site.move()
                # What waits for its next try holds until then, with its exit status.
                assert done.returncode in (0, 5), done
                self.scenario.check(done, done.returncode)
        for failing, entry in self._had_faults:
            assert self.scenario.where(failing.study) == "finished-scans", _about(
                self.scenario.site.messages(), failing.study.uid
            )
            entry.held()
        assert self.scenario.where(healthy) == "finished-scans"


def _about(messages: Sequence[str], study_instance_uid: str) -> list[str]:
    """What a pass said of the study, from its PROCESS line to the next."""
    about = []
    this = False
    for message in messages:
        if message.startswith("PROCESS: "):
            this = message.endswith(f"/{study_instance_uid}")
        if this:
            about.append(message)
    return about
