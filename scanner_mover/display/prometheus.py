"""`status --prometheus`: the text format that a node exporter's textfile collector reads.

Times are timestamps, not ages: the file may stay behind, and then an age would never grow.
"""

from collections.abc import Iterable
from typing import NamedTuple

from scanner_mover import __version__
from scanner_mover.rules.outcomes import Outcome
from scanner_mover.transfer.overview import Overview

_PREFIX = "scanner_mover_"


class _Metric(NamedTuple):
    """One metric: its samples are labels beside `project`, and values; None: not known, and left out."""

    name: str
    kind: str
    text: str
    samples: list[tuple[dict[str, str], float | None]]


def metrics(overview: Overview) -> str:
    """The metrics of one project; every name begins with `scanner_mover_`. There is no patient in them."""
    lines: list[str] = []
    for metric in (*_passes(overview), *_requests(overview), *_totals(overview)):
        known = [(labels, value) for labels, value in metric.samples if value is not None]
        if known:
            lines.append(f"# HELP {_PREFIX}{metric.name} {metric.text}")
            lines.append(f"# TYPE {_PREFIX}{metric.name} {metric.kind}")
        for labels, value in known:
            lines.append(f"{_PREFIX}{metric.name}{{{_labels({'project': overview.project} | labels)}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def _gauge(name: str, text: str, value: float | None) -> _Metric:
    return _Metric(name, "gauge", text, [({}, value)])


def _passes(overview: Overview) -> Iterable[_Metric]:
    """The program, its switch, and the last pass."""
    state = overview.state
    yield _Metric("build_info", "gauge", "The version of this program; always 1.", [({"version": __version__}, 1)])
    yield _gauge("enabled", "Whether the switch is on.", overview.enabled)
    yield _gauge("running", "Whether a pass holds the lock.", overview.running)
    yield _gauge("last_pass_timestamp_seconds", "When the last pass began.", overview.last_pass_at)
    yield _gauge("last_pass_duration_seconds", "Seconds the last pass took.", state.seconds)
    yield _gauge("last_pass_exit_status", "Exit status of the last pass.", state.exit_status)
    yield _gauge("free_bytes", "Free space for images.", overview.free_bytes)
    yield _gauge("reserve_bytes", "Free space below which nothing is retrieved.", overview.reserve_bytes)


def _requests(overview: Overview) -> Iterable[_Metric]:
    """The requests, and what is wrong with them."""
    outcomes = [request.report.outcome for request in overview.requests]
    yield _Metric(
        "requests",
        "gauge",
        "Requests in active-scans, by what the last pass made of them.",
        [({"state": one.value}, outcomes.count(one)) for one in Outcome],
    )
    oldest = min((request.requested_at for request in overview.requests), default=None)
    yield _gauge("oldest_request_timestamp_seconds", "Time of the oldest request.", oldest)
    stuck = sum(len(request.waiting.stuck) for request in overview.requests)
    yield _gauge("stuck_series", "Series of which several attempts in a row brought no image.", stuck)
    failed = len(overview.failed_requests)
    yield _gauge("recently_failed_requests", "Requests that failed in the last 7 days.", failed)
    yield _gauge("finished_scans", "Requests in finished-scans.", overview.finished.in_all)
    yield _gauge("failed_scans", "Requests in failed-scans.", overview.failed.in_all)


def _totals(overview: Overview) -> Iterable[_Metric]:
    """What is counted since the state file was made."""
    state = overview.state
    for name, text, value in (
        ("moves_sent_total", "C-MOVEs that were sent.", state.moves_sent),
        ("fruitless_moves_total", "C-MOVEs that brought no image.", state.fruitless_moves),
        ("failed_pulls_total", "C-MOVEs of series that failed.", state.failed_pulls),
        ("failed_requests_total", "Requests that failed.", state.failed_requests),
        ("images_received_total", "Images that arrived.", state.images_received),
    ):
        yield _Metric(name, "counter", text, [({}, value)])


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
