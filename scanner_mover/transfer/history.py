"""What the passes know of each study, and how it is kept in the state file (R18, R22, R24)."""

from dataclasses import dataclass, field
from typing import Any

from scanner_mover.moment import Moment


@dataclass
class SeriesKnowledge:
    """One series, as the last pass saw it; `moved` is when its last C-MOVE with status Success ended.

    `by_series`: asking for single images of it did not help, so it is asked for whole; `asked_by_name` is how many
    were here when single images were last asked for.
    """

    moved: Moment | None = None
    received: int = 0
    expected: int | None = None
    complete: bool = False
    pulled: bool = False
    error: str | None = None
    by_series: bool = False
    asked_by_name: int | None = None


@dataclass
class StudyKnowledge:
    """One study, as the last pass saw it.

    `seen` is when the last pass looked at it, `event` what happened last and `event_at` when, all ISO 8601. `counts`
    are the series and numbers of images that the scanner told, the same since `unchanged_since`; `over_age_since` is
    when a pass first saw the request over age; `failed_at` is when a pull of it last failed, in seconds of the epoch.
    """

    outcome: str = "waiting"
    procedure: str = "unknown"
    error: str | None = None
    seen: str = ""
    event: str = ""
    event_at: str = ""
    counts: list[tuple[str, int | None]] | None = None
    unchanged_since: Moment | None = None
    over_age_since: Moment | None = None
    failed_at: float | None = None
    series: dict[str, SeriesKnowledge] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As an object of the state file."""
        value = dict(vars(self))
        value["series"] = {uid: dict(vars(series)) for uid, series in self.series.items()}
        return value


def from_json(value: Any) -> StudyKnowledge | None:
    """The knowledge in VALUE from a state file; None when it is not what `to_json` wrote."""
    try:
        series = {
            str(uid): SeriesKnowledge(
                expected=_optional(one["expected"], int),
                received=_a(one["received"], int),
                complete=_a(one["complete"], bool),
                pulled=_a(one["pulled"], bool),
                error=_optional(one["error"], str),
                moved=_moment(one["moved"]),
                by_series=_a(one.get("by_series", False), bool),
                asked_by_name=_optional(one.get("asked_by_name"), int),
            )
            for uid, one in value["series"].items()
        }
        counts = value["counts"]
        return StudyKnowledge(
            outcome=_a(value["outcome"], str),
            procedure=_a(value["procedure"], str),
            error=_optional(value["error"], str),
            seen=_a(value["seen"], str),
            event=_a(value["event"], str),
            event_at=_a(value["event_at"], str),
            counts=None if counts is None else [(_a(uid, str), _optional(number, int)) for uid, number in counts],
            unchanged_since=_moment(value["unchanged_since"]),
            over_age_since=_moment(value["over_age_since"]),
            failed_at=_optional(value["failed_at"], float),
            series=series,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _a(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _optional(value: Any, kind: type) -> Any:
    return None if value is None else _a(value, kind)


def _moment(value: Any) -> Moment | None:
    if value is None:
        return None
    boot, seconds = value
    return Moment(_a(boot, str), float(seconds))
