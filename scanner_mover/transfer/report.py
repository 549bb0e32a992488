"""What a pass reports of each study, and its JSON, whose keys are a contract.

A plain module: with `--json` also the pass that has nothing to do prints its object.
"""

from __future__ import annotations

from scanner_mover.record import TYPE_CHECKING, Record

if TYPE_CHECKING:
    from typing import Any

    from scanner_mover.rules.outcomes import Outcome, Procedure


class SeriesReport(Record):
    """One series after a pass; `expected` is None when the scanner gives no number."""

    series_instance_uid: str
    expected: int | None
    received: int
    complete: bool
    pulled: bool
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """As in the JSON of a pass."""
        return {
            "series": self.series_instance_uid,
            "expected": self.expected,
            "received": self.received,
            "complete": self.complete,
            "pulled": self.pulled,
            "error": self.error,
        }


class ClosedRequest(Record):
    """A request that was moved to finished-scans or failed-scans; `reason` says why it failed, or what it lacks (R36).

    `series` are its SeriesReports; `raw` is the folder that its images are in.
    """

    study_instance_uid: str
    finished: bool
    reason: str | None
    series: tuple[SeriesReport, ...]
    raw: str


class StudyReport(Record):
    """One study after a pass."""

    study_instance_uid: str
    outcome: Outcome
    series: tuple[SeriesReport, ...]
    procedure: Procedure
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """As in the JSON of a pass."""
        return {
            "study": self.study_instance_uid,
            "outcome": self.outcome.value,
            "series": [series.to_json() for series in self.series],
            "procedure": self.procedure.value,
            "error": self.error,
        }


class PassReport(Record):
    """One pass; `started` is ISO 8601 with offset, `seconds` how long it took."""

    project: str
    started: str
    seconds: float
    enabled: bool
    dry_run: bool
    studies: tuple[StudyReport, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of a pass."""
        return {
            "project": self.project,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "enabled": self.enabled,
            "dry_run": self.dry_run,
            "studies": [study.to_json() for study in self.studies],
        }
