"""`status --prometheus`: the text format that a node exporter's textfile collector reads."""

from collections.abc import Iterable

from scanner_mover.rules import Outcome
from scanner_mover.transfer.overview import Overview

_PREFIX = "scanner_mover_"


def metrics(overview: Overview) -> str:
    """The metrics of one project; every name begins with `scanner_mover_`. There is no patient in them."""
    project = {"project": overview.project}
    outcomes = [request.report.outcome for request in overview.requests]
    ages = [request.age_seconds for request in overview.requests]
    lines: list[str] = []

    def add(name: str, kind: str, text: str, samples: Iterable[tuple[dict[str, str], float | None]]) -> None:
        known = [(labels, value) for labels, value in samples if value is not None]
        if not known:
            return
        lines.append(f"# HELP {_PREFIX}{name} {text}")
        lines.append(f"# TYPE {_PREFIX}{name} {kind}")
        for labels, value in known:
            named = ",".join(f'{key}="{_escaped(one)}"' for key, one in (project | labels).items())
            lines.append(f"{_PREFIX}{name}{{{named}}} {value:.15g}")

    add("enabled", "gauge", "Whether the switch is on.", [({}, overview.enabled)])
    add("running", "gauge", "Whether a pass holds the lock.", [({}, overview.running)])
    add("last_pass_age_seconds", "gauge", "Seconds since the last pass began.", [({}, overview.last_pass_age_seconds)])
    add("last_pass_duration_seconds", "gauge", "Seconds the last pass took.", [({}, overview.state.seconds)])
    add("last_pass_exit_status", "gauge", "Exit status of the last pass.", [({}, overview.state.exit_status)])
    add(
        "requests",
        "gauge",
        "Requests in active-scans, by what the last pass made of them.",
        [({"state": one.value}, outcomes.count(one.value)) for one in Outcome],
    )
    add(
        "oldest_request_age_seconds", "gauge", "Age of the oldest request; 0 without any.", [({}, max(ages, default=0))]
    )
    add("finished_scans", "gauge", "Requests in finished-scans.", [({}, overview.finished.in_all)])
    add("failed_scans", "gauge", "Requests in failed-scans.", [({}, overview.failed.in_all)])
    add("failed_pulls_total", "counter", "C-MOVEs of series that failed.", [({}, overview.state.failed_pulls)])
    add("images_received_total", "counter", "Images that arrived.", [({}, overview.state.images_received)])
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
