"""echoscu: asks whether a scanner answers at all (C-ECHO, DICOM PS3.4 annex A)."""

import re

from scanner_mover.config import Settings
from scanner_mover.dcmtk import failure, tls
from scanner_mover.dcmtk.association import address, options, whole_seconds
from scanner_mover.dcmtk.failure import Failure, Kind
from scanner_mover.dcmtk.tool import Toolbox

_SUCCESS = re.compile(r"I: Received Echo Response \(Success\)")


def echo(tools: Toolbox, settings: Settings) -> Failure | None:
    """Send one C-ECHO; gives the failure, None for Success.

    Raises UnusableError when echoscu cannot run, ConfigurationError when it cannot use `tls`.
    """
    limit = ["-td", whole_seconds(settings.response_timeout_seconds)]
    run = tools.run(
        "echoscu",
        [*options(settings), *limit, *address(settings)],
        stall_seconds=settings.connect_timeout_seconds + 2 * settings.response_timeout_seconds,
    )
    lines = run.err + run.out
    tls.check_said(settings, lines)
    if any(_SUCCESS.fullmatch(line) for line in lines):
        return None
    return failure.of_lines(lines) if run.ended is None else Failure(Kind.STALLED, run.ended)
