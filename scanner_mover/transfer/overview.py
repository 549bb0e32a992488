"""Where everything stands: from the folders and the state file alone, without asking a scanner or taking a lock."""

import contextlib
import datetime
import os
import time
from dataclasses import dataclass
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.errors import UnusableError
from scanner_mover.site import requests, state
from scanner_mover.site.folders import DataFolders, ServerFolders, is_switched_on
from scanner_mover.site.state import State
from scanner_mover.transfer.history import StudyKnowledge, from_json
from scanner_mover.transfer.report import SeriesReport, StudyReport


@dataclass(frozen=True)
class Closed:
    """How many requests a folder of closed ones holds, and how many of them were closed today."""

    in_all: int
    today: int


@dataclass(frozen=True)
class RequestStatus:
    """One request: as in the report of the last pass, its age in seconds, and what happened last and when."""

    report: StudyReport
    age_seconds: float
    event: str
    event_at: str


@dataclass(frozen=True)
class Overview:
    """Where one project stands; `running` is None where the kernel's list of locks cannot tell."""

    project: str
    enabled: bool | None
    running: bool | None
    state: State
    last_pass_age_seconds: float | None
    requests: tuple[RequestStatus, ...]
    finished: Closed
    failed: Closed
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `status`."""
        last = self.state
        return {
            "project": self.project,
            "enabled": self.enabled,
            "running": self.running,
            "last_pass": {"started": last.started, "seconds": last.seconds, "exit_status": last.exit_status},
            "requests": [
                {**request.report.to_json(), "age_seconds": round(request.age_seconds, 1)} for request in self.requests
            ],
            "finished": self.finished.in_all,
            "failed": self.failed.in_all,
        }


def look(settings: Settings, server: ServerFolders) -> Overview:
    """Look at the project of SETTINGS."""
    folders = DataFolders(settings.data_dir)
    problems: list[str] = []
    known, problem = state.load(server.state)
    if problem is not None:
        problems.append(problem)
    enabled = None
    try:
        enabled = is_switched_on(folders)
    except UnusableError as error:
        problems.append(str(error))
    scanned = requests.scan(folders.active_scans)
    problems += scanned.unreadable
    now = time.time()
    looked_at = []
    for request in scanned.requests:
        knowledge = from_json(known.requests.get(request.study_instance_uid)) or StudyKnowledge()
        age = max(0.0, now - request.modified)
        report = _report(request.study_instance_uid, knowledge)
        looked_at.append(RequestStatus(report, age, knowledge.event, knowledge.event_at))
    return Overview(
        project=settings.project,
        enabled=enabled,
        running=is_locked(server.lock),
        state=known,
        last_pass_age_seconds=_age(known.started, now),
        requests=tuple(looked_at),
        finished=_closed(folders.finished_scans),
        failed=_closed(folders.failed_scans),
        problems=tuple(problems),
    )


def is_locked(path: str) -> bool | None:
    """Whether some process holds a `flock` on PATH, by the kernel's own list; None where that cannot be told."""
    try:
        lock = os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        with open("/proc/locks", encoding="ascii") as file:
            lines = [line.split() for line in file]
    except (OSError, UnicodeDecodeError):
        return None
    # `1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF`; lines of waiting processes have a `->` before FLOCK.
    held = [fields[5] for fields in lines if len(fields) > 5 and fields[1] == "FLOCK"]
    if f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}" in held:
        return True
    # Some file systems tell processes another device than the kernel's list: then only the inode can be compared.
    return None if any(place.endswith(f":{lock.st_ino}") for place in held) else False


def _report(study_instance_uid: str, knowledge: StudyKnowledge) -> StudyReport:
    series = tuple(
        SeriesReport(uid, one.expected, one.received, one.complete, one.pulled, one.error)
        for uid, one in knowledge.series.items()
    )
    return StudyReport(study_instance_uid, knowledge.outcome, series, knowledge.procedure, knowledge.error)


def _age(started: str | None, now: float) -> float | None:
    try:
        return max(0.0, now - datetime.datetime.fromisoformat(started).timestamp()) if started else None
    except ValueError:
        return None


def _closed(folder: str) -> Closed:
    """Requests are moved by rename, which leaves their own time and sets the inode's: that is when it was closed."""
    today = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
    in_all = of_today = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    in_all += 1
                    of_today += entry.stat(follow_symlinks=False).st_ctime >= today
    return Closed(in_all, of_today)
