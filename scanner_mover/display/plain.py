"""What `status` says of a project and its requests, in words. A plain module: programs and pipes need no colours."""

import time

from scanner_mover import clock
from scanner_mover.rules.outcomes import WaitsFor
from scanner_mover.text import out_of, printable
from scanner_mover.transfer.overview import FailedRequest, Overview, RequestStatus, Waiting
from scanner_mover.transfer.report import StudyReport

COLUMNS = ("study", "age", "procedure", "series", "images", "state", "waits for", "last")
FAILED_COLUMNS = ("failed in the last 7 days", "at", "why")


def head(overview: Overview) -> list[str]:
    """The first lines of the status; `faults` gives those that follow them."""
    switch = {True: "on", False: "off", None: "not known"}[overview.enabled]
    running = ", a pass is running now" if overview.running else ""
    if overview.running and overview.state.running_since:
        running += f", since {when(overview.state.running_since)}"
    lines = [f"{overview.project}: switched {switch}{running}"]
    lines.append(last_pass(overview))
    lines += [overview.hangs] if overview.hangs else []
    for name, closed in (("finished", overview.finished), ("failed", overview.failed)):
        lines.append(f"{name}: {closed.today} today, {closed.in_all} in all")
    if not overview.requests:
        lines.append("no study is requested")
    lines += overview.left_alone
    return [printable(line) for line in lines]


def faults(overview: Overview) -> list[str]:
    """The faults that hold, a line for each."""
    texts = (fault.get("text") for fault in overview.state.faults)
    return [printable(text) for text in texts if isinstance(text, str)]


def last_pass(overview: Overview) -> str:
    """When the last pass ran, and how it ended."""
    state, age = overview.state, overview.last_pass_age_seconds
    if age is None:
        return "when the last pass ran is not known" if overview.problems else "there was no pass yet"
    return f"last pass {age_in_words(age)} ago, took {state.seconds or 0:.1f} s, exit status {state.exit_status}"


def cells(request: RequestStatus, now: float) -> tuple[str, ...]:
    """One request, a cell for each of COLUMNS; NOW is in seconds of the epoch."""
    report = request.report
    texts = (
        report.study_instance_uid,
        age_in_words(request.age_seconds),
        report.procedure.value,
        f"{sum(one.complete for one in report.series)} of {len(report.series)}",
        images(report),
        report.outcome.value,
        waits_for(request.waiting, now),
        f"{request.event} ({when(request.event_at)})" if request.event else "-",
    )
    return tuple(map(printable, texts))


def waits_for(waiting: Waiting, now: float) -> str:
    """What a request waits for, with a time where there is one; NOW is in seconds of the epoch."""
    if waiting.next_try is None:
        return waiting.text or "-"
    left = waiting.next_try - now
    if waiting.waits_for is WaitsFor.QUIET:
        closes, condition, why = waiting.text.partition(" if nothing changes")
        return f"{closes} in {age_in_words(left) if left >= 1 else 'the next pass'}{condition}{why}"
    at = when(clock.iso(waiting.next_try)) if left > 0 else "in the next pass"
    if waiting.waits_for is WaitsFor.MPPS:
        return f"{waiting.text}, closes {at} without one"
    what, comma, why = waiting.text.partition(", ")
    return f"{what}, next try {at}{comma}{why}" if what else f"next try {at}"


def failed_cells(failed: FailedRequest) -> tuple[str, ...]:
    """One failed request, a cell for each of FAILED_COLUMNS."""
    texts = (
        failed.study_instance_uid,
        when(clock.iso(failed.failed_at)),
        failed.reason or "not closed by this program",
    )
    return tuple(map(printable, texts))


def images(report: StudyReport) -> str:
    """Images received, of those expected where that is known; `-` without a series."""
    if not report.series:
        return "-"
    expected = [one.expected for one in report.series]
    total = None if None in expected else sum(number or 0 for number in expected)
    return out_of(sum(one.received for one in report.series), total)


def when(iso: str) -> str:
    """The time of day, with the date if that is not today's."""
    return iso[11:16] if iso[:10] == clock.iso(time.time())[:10] else iso[:16].replace("T", " ")


def age_in_words(seconds: float) -> str:
    """SECONDS in the two largest units that matter: `3 d 4 h`, `5 min 2 s`."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def table(overview: Overview) -> list[str]:
    """All of it as lines of plain text, in columns."""
    lines = [*faults(overview), *head(overview)]
    if overview.failed_requests:
        lines += _columns([FAILED_COLUMNS, *map(failed_cells, overview.failed_requests)])
    if overview.requests:
        lines += _columns([COLUMNS, *(cells(request, overview.looked_at) for request in overview.requests)])
    return lines


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    # The last column needs no padding.
    widths = [*[max(map(len, column)) for column in zip(*rows, strict=True)][:-1], 0]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
