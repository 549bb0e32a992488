"""Where everything stands, from the folders, the state file and the ledger: no scanner is asked, no lock is taken.

A plain module, but for `datetime`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Mapping

from scanner_mover import clock
from scanner_mover.config import Settings
from scanner_mover.dicom import is_uid, uid_order
from scanner_mover.errors import UnusableError
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.rules.outcomes import Outcome, Procedure, WaitsFor
from scanner_mover.site import ledger, requests, state
from scanner_mover.site.disk import free_bytes
from scanner_mover.site.folders import DataFolders, ServerFolders, is_switched_on
from scanner_mover.site.ledger import Entry
from scanner_mover.site.requests import Request
from scanner_mover.site.state import State
from scanner_mover.transfer import hanging
from scanner_mover.transfer.report import SeriesReport, StudyReport

if TYPE_CHECKING:
    from typing import Any

    from scanner_mover.rules.records import StudyMemory

_FAILED_SHOWN_SECONDS = 7 * 86400.0


class Closed(Record):
    """How many requests a folder of closed ones holds, and how many of them were closed today."""

    in_all: int
    today: int


class Waiting(Record):
    """What a request waits for: the word of the contract, words for people, and the time of the next try.

    `next_try` is in seconds of the epoch, None when there is none. `stuck` are the UIDs of the series of which several
    attempts brought nothing (R31).
    """

    waits_for: WaitsFor = WaitsFor.NOTHING
    text: str = ""
    next_try: float | None = None
    stuck: tuple[str, ...] = ()


class RequestStatus(Record):
    """One request: as in the report of the last pass, its time and age in seconds, what happened last and when."""

    report: StudyReport
    requested_at: float
    age_seconds: float
    waiting: Waiting
    event: str
    event_at: str

    @property
    def needs_attention(self) -> bool:
        """Whether somebody must look at it."""
        return bool(self.waiting.stuck) or self.report.outcome in (Outcome.ERROR, Outcome.FAILED)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of one request."""
        next_try = self.waiting.next_try
        return {
            **self.report.to_json(),
            "age_seconds": round(self.age_seconds, 1),
            "waits_for": self.waiting.waits_for.value,
            "next_try": None if next_try is None else clock.iso(next_try),
            "stuck": list(self.waiting.stuck),
        }


class FailedRequest(Record):
    """A request that failed in the last 7 days (R38), in seconds of the epoch; no reason: we did not close it."""

    study_instance_uid: str
    failed_at: float
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of one failed request."""
        return {"study": self.study_instance_uid, "failed_at": clock.iso(self.failed_at), "reason": self.reason}


class Overview(Record):
    """Where one project stands.

    `running` is None where the kernel's list of locks cannot tell. `last_pass_at` is in seconds of the epoch.
    `requests` begin with those that need attention, then the oldest ones; `failed_requests` with the last one.
    `left_alone` are lines about files that are no requests; `hangs`: that the running pass seems to hang.
    """

    project: str
    enabled: bool | None
    running: bool | None
    state: State
    last_pass_at: float | None
    looked_at: float
    requests: tuple[RequestStatus, ...]
    free_bytes: int | None
    reserve_bytes: int
    finished: Closed
    failed: Closed
    failed_requests: tuple[FailedRequest, ...]
    problems: tuple[str, ...]
    left_alone: tuple[str, ...] = ()
    hangs: str | None = None

    @property
    def last_pass_age_seconds(self) -> float | None:
        """Seconds since the last pass began; None when that is not known."""
        return None if self.last_pass_at is None else max(0.0, self.looked_at - self.last_pass_at)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `status`."""
        last = self.state
        return {
            "project": self.project,
            "enabled": self.enabled,
            "running": self.running,
            "last_pass": {"started": last.started, "seconds": last.seconds, "exit_status": last.exit_status},
            "requests": [request.to_json() for request in self.requests],
            "failed_requests": [failed.to_json() for failed in self.failed_requests],
            "finished": self.finished.in_all,
            "failed": self.failed.in_all,
        }


def look(settings: Settings, server: ServerFolders) -> Overview:
    """Look at the project of SETTINGS. What cannot be read is named in `problems`."""
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
    entries: Mapping[str, Entry] = {}
    try:
        entries = ledger.read(server.ledger)
    except UnusableError as error:
        problems.append(str(error))
    scanned = requests.scan(folders.active_scans)
    problems += scanned.unreadable
    failed_at = _closed_at(folders.failed_scans)
    running = is_locked(server.lock)
    now = time.time()
    statuses = [_request(request, known, settings, now) for request in scanned.requests]
    return Overview(
        project=settings.project,
        enabled=enabled,
        running=running,
        state=known,
        last_pass_at=_epoch(known.started),
        looked_at=now,
        requests=tuple(sorted(statuses, key=lambda request: not request.needs_attention)),
        free_bytes=_free_bytes(folders),
        reserve_bytes=settings.reserve_bytes,
        finished=_closed(_closed_at(folders.finished_scans), now),
        failed=_closed(failed_at, now),
        failed_requests=_failed_requests(failed_at, entries, now),
        problems=tuple(problems),
        left_alone=tuple(requests.left_alone(folders.active_scans, scanned.not_uids)),
        hangs=hanging.line(server) if running else None,
    )


def is_locked(path: str) -> bool | None:
    """Whether some process holds a `flock` on PATH, by the kernel's own list; None where the list cannot say."""
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


def _request(request: Request, known: State, settings: Settings, now: float) -> RequestStatus:
    uid, age = request.study_instance_uid, max(0.0, now - request.modified)
    history = _history(known.requests.get(uid))
    if history is None:
        report = StudyReport(uid, Outcome.WAITING, (), Procedure.UNKNOWN, None)
        return RequestStatus(report, now - age, age, Waiting(WaitsFor.NOTHING, "not looked at yet"), "", "")
    report = _report(uid, history, settings)
    return RequestStatus(report, now - age, age, _waiting(history), history.event, history.event_at)


def _history(value: Any) -> StudyMemory | None:
    """What is remembered of a request; None: no pass has looked at it, or nothing usable is kept."""
    if value is None:
        return None
    from scanner_mover.transfer.history import study_from_json  # not needed before the first pass

    return study_from_json(value)


def _waiting(history: StudyMemory) -> Waiting:
    """What a request waits for, by what is remembered of it."""
    stuck = [uid for uid, one in history.series.items() if one.stuck]
    return Waiting(
        waits_for=history.waits_for,
        text=history.waits_text or history.error or "",
        next_try=history.next_try,
        stuck=tuple(sorted(stuck, key=uid_order)),
    )


def _report(study_instance_uid: str, history: StudyMemory, settings: Settings) -> StudyReport:
    """What is remembered of a study as a report; series that the site does not keep are left out (R40)."""
    from scanner_mover.rules.modalities import is_wanted  # as `_history`

    series = tuple(
        SeriesReport(uid, one.expected, one.received, one.complete, one.retrieved, one.error)
        for uid, one in sorted(history.series.items(), key=lambda item: uid_order(item[0]))
        if is_wanted(one.modality, settings.modalities)
    )
    return StudyReport(study_instance_uid, history.outcome, series, history.procedure, history.error)


def _free_bytes(folders: DataFolders) -> int | None:
    """The free space for images; None when it cannot be measured."""
    if os.path.isdir(folders.data_dir):
        with contextlib.suppress(UnusableError):
            return free_bytes(folders.raw)
    return None


def _epoch(started: str | None) -> float | None:
    """The time STARTED, ISO 8601, in seconds of the epoch; None for what is no time."""
    try:
        return datetime.datetime.fromisoformat(started).timestamp() if started else None
    except (ValueError, OverflowError):
        return None


def _closed_at(folder: str) -> dict[str, float]:
    """The requests in FOLDER and when each was closed: a rename leaves a file's own time and sets the inode's."""
    found = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    found[entry.name] = entry.stat(follow_symlinks=False).st_ctime
    return found


def _closed(at: Mapping[str, float], now: float) -> Closed:
    today = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    return Closed(len(at), sum(one >= today for one in at.values()))


def _failed_requests(at: Mapping[str, float], entries: Mapping[str, Entry], now: float) -> tuple[FailedRequest, ...]:
    """The requests in `failed-scans`, moved there AT these times, that failed in the last 7 days; ENTRIES say why."""
    failed = []
    for uid, moved_at in at.items():
        entry = entries.get(uid)
        known = entry if entry is not None and entry.outcome is Outcome.FAILED else None
        failed_at = (_epoch(known.time) if known else None) or moved_at
        if is_uid(uid) and failed_at >= now - _FAILED_SHOWN_SECONDS:
            failed.append(FailedRequest(uid, failed_at, known.reason if known else None))
    return tuple(sorted(failed, key=lambda one: -one.failed_at))
