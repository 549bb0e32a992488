"""Overviews to show: made by hand, with what is hard to bring about."""

import time

from scanner_mover.rules.outcomes import Outcome, Procedure, WaitsFor
from scanner_mover.site.state import State
from scanner_mover.transfer.overview import Closed, FailedRequest, Overview, RequestStatus, Waiting
from scanner_mover.transfer.report import SeriesReport, StudyReport

UID = "1.3.12.2.1107.5.2.43.166158.300000260131082743123000000"
LONGEST = "1.2.826.0.1.3680043.10.1561." + "7" * 36
HOSTILE = "<script>alert(1)</script> [red]x[/] [/y] &amp; \x1b[2J\x1b]0;owned\x07 \"quoted\" 'too'"
NOW = time.time()


def request(study: str, outcome: Outcome, received: int, expected: int | None, waiting: Waiting) -> RequestStatus:
    """A request of one series, two hours old."""
    series = SeriesReport(f"{study}.1", expected, received, received == expected, True, None)
    report = StudyReport(study, outcome, (series,), Procedure.IN_PROGRESS, None)
    return RequestStatus(report, NOW - 7500, 7500, waiting, "1 series retrieved", "2026-01-31T10:15:00+01:00")


STUCK = request(
    UID,
    Outcome.WAITING,
    4,
    6,
    Waiting(
        WaitsFor.IMAGES, "2 of 6 images missing, C-MOVE says Success but nothing arrives", NOW + 600, (f"{UID}.1",)
    ),
)
ERROR = request(f"{UID}1", Outcome.ERROR, 0, None, Waiting(WaitsFor.SCANNER, "the folder cannot be written"))
QUIET = request(
    f"{UID}2", Outcome.WAITING, 2000, 2000, Waiting(WaitsFor.QUIET, "closes if nothing changes", NOW + 42.5)
)
RUNNING = request(LONGEST, Outcome.WAITING, 100, 176, Waiting(WaitsFor.PROCEDURE, "step MPPS.1.2.3 still in progress"))


def overview(*requests: RequestStatus, fault: str | None = None, **changes: object) -> Overview:
    """One project after a pass."""
    state = State()
    state.started, state.seconds, state.exit_status = "2026-01-31T10:15:00+01:00", 3.2, 0
    state.faults = [] if fault is None else [{"text": fault}]
    values: dict[str, object] = {
        "project": "ABCD",
        "enabled": True,
        "running": False,
        "state": state,
        "last_pass_at": NOW - 12,
        "looked_at": NOW,
        "requests": requests,
        "free_bytes": 5 << 30,
        "reserve_bytes": 1 << 30,
        "finished": Closed(120, 3),
        "failed": Closed(2, 1),
        "failed_requests": (),
        "problems": (),
    }
    return Overview(**{**values, **changes})  # type: ignore[arg-type]


FAILED = FailedRequest(f"{UID}9", NOW - 60, "older than 24 h; 3 of 176 images never came")
EVERYTHING = overview(STUCK, ERROR, QUIET, RUNNING, fault="the scanner says Success", failed_requests=(FAILED,))
EVERYTHING_HOSTILE = overview(
    request(HOSTILE, Outcome.WAITING, 1, 2, Waiting(WaitsFor.IMAGES, HOSTILE, None, (HOSTILE,))),
    fault=HOSTILE,
    project=HOSTILE,
    failed_requests=(FailedRequest(HOSTILE, NOW, HOSTILE),),
)
