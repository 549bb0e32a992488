"""The work of a pass at a made-up site: its requests are handled as a test says."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner_mover.arguments import MoveOptions
from scanner_mover.moment import Moment
from scanner_mover.rules.records import Silence, StudyMemory
from scanner_mover.scanner.progress import Progress
from scanner_mover.site.folders import ServerFolders
from scanner_mover.transfer import all_requests
from scanner_mover.transfer.frame import Frame, Place, View
from scanner_mover.transfer.history import to_json
from scanner_mover.transfer.job import Findings, Job
from scanner_mover.transfer.work import Work, work
from tests.unit.transfer.made import SETTINGS, folders

THREE = "1.2.3"
SILENT = to_json(Silence(2, Moment("boot", 5.0)))


def full(frame: Frame) -> Frame:
    """Its state knows a study, and that the scanner is off and sent nothing."""
    frame.state.requests = {THREE: to_json(StudyMemory(error="no"))}
    frame.state.scanner_down, frame.state.silence = True, SILENT
    return frame


def known(frame: Frame) -> tuple[list[str], bool, object]:
    return sorted(frame.state.requests), frame.state.scanner_down, frame.state.silence


class Works:
    """The work of passes at one site. The requests are handled as a test says: `jobs` are what is to be done."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.folders = folders(root)
        self.server = ServerFolders(str(root / "server"), "ABCD")
        self.settings = SETTINGS._replace(data_dir=self.folders.data_dir)
        self.lines: list[str] = []
        self.jobs: list[Job] = []
        self.handle: Callable[[Job, Findings], None] = lambda job, findings: None
        self.shown: list[str] = []
        self.progress = Progress()
        Path(self.server.pids).mkdir(parents=True)
        self.switch("1")
        patch.setattr(all_requests, "handle", self._handle)

    def switch(self, text: str) -> None:
        Path(self.folders.enabled).parent.mkdir(exist_ok=True)
        Path(self.folders.enabled).write_text(text)

    def request(self, name: str, age: float = 0.0) -> str:
        path = os.path.join(self.folders.active_scans, name)
        Path(path).write_text("")
        os.utime(path, (time.time() - age,) * 2)
        return path

    def frame(self, **options: Any) -> Frame:
        view = View(echo=self.lines.append, progress=self._progress)
        frame = Frame(MoveOptions(**options), Place("ABCD", self.server), view)
        frame.may_write = not frame.options.dry_run
        return frame

    def run(self, frame: Frame | None = None, **options: Any) -> Work:
        frame = frame or self.frame(**options)
        try:
            return work(frame, self.settings)
        finally:
            frame.close()

    @contextlib.contextmanager
    def _progress(self) -> Any:
        self.shown.append("begin")
        yield self.progress
        self.shown.append("end")

    def _handle(self, job: Job, findings: Findings) -> None:
        self.jobs.append(job)
        self.handle(job, findings)
