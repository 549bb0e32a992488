"""movescu: has the scanner send images (C-MOVE, study root) to our own AE title, where storescp or another program
receives them.

Its exit status is 0 also when the scanner hangs up in the middle; only the final status in its text counts, and the
images that are there afterwards.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.dcmtk import failure
from scanner_mover.dcmtk.association import address, options, output_lines, why_unanswered
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.failures import Failure, Service
from scanner_mover.text import beginning

# When we receive, allow this many stall limits without a new image.
_MOST_LIMITS = 10

_SENDING = re.compile(r"I: Sending Move Request.*")
_FINAL = re.compile(r"I: Received Final Move Response \((.*)\)")
_RESPONSE = re.compile(r"I: Received Move Response \d+ \(Pending")


@dataclass(frozen=True)
class MoveResult:
    """How one C-MOVE went: whether it was sent, its final status as movescu words it, the failure that it was, and the
    seconds that it took."""

    sent: bool
    status: str
    failure: Failure | None
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What movescu's lines at `-v` say of one C-MOVE; `status` is None when no final response arrived."""

    sent: bool
    status: str | None


def parse(lines: Iterable[str]) -> Answer:
    """Read movescu's lines."""
    sent, status = False, None
    for line in lines:
        if _SENDING.fullmatch(line):
            sent = True
        elif found := _FINAL.fullmatch(line):
            status = beginning(found[1])
    return Answer(sent, status)


def move(
    tools: Toolbox,
    settings: Settings,
    query: str,
    *,
    progress: Callable[[], Any],
    on_response: Callable[[], None],
    while_running: Callable[[], None] | None = None,
) -> MoveResult:
    """Send the query file QUERY as a C-MOVE whose images go to our own AE title.

    PROGRESS gives a value that changes while images arrive; it is called in another thread. The C-MOVE is ended when
    for `retrieve_stall_seconds` no response arrived and that value stayed the same, and, where we receive, when for ten
    times as long no image arrived whatever the scanner answered. movescu's own `-td` is not used: it would end a
    retrieve whose images do arrive.

    `on_response` is called, in another thread, for each pending response: one more image was sent. `while_running` is
    called now and then while it runs; when it raises, the C-MOVE is ended.

    Raises UnusableError when movescu cannot run, ConfigurationError when it cannot use `tls`.
    """
    began = time.monotonic()
    run = tools.run(
        "movescu",
        [*options(settings), "--study", "-aem", settings.calling_ae_title, *address(settings), query],
        stall_seconds=settings.retrieve_stall_seconds,
        progress=progress,
        most_seconds=_MOST_LIMITS * settings.retrieve_stall_seconds if settings.receive else None,
        on_line=lambda line: on_response() if _RESPONSE.match(line) else None,
        meanwhile=while_running,
    )
    seconds = time.monotonic() - began
    lines = output_lines(settings, run)
    answer = parse(lines)
    if answer.status is not None:
        broken = failure.of_status(answer.status)
        about_move = broken and broken.about(Service.MOVE).refusing(failure.refused(lines))
        return MoveResult(answer.sent, answer.status, about_move, seconds)
    unanswered = why_unanswered(run).about(Service.MOVE)
    return MoveResult(answer.sent, unanswered.text, unanswered, seconds)
