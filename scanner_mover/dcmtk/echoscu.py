"""echoscu: asks whether a scanner answers at all (C-ECHO, DICOM PS3.4 annex A)."""

import re

from scanner_mover.config import Settings
from scanner_mover.dcmtk.association import address, options, output_lines, stall_seconds, whole_seconds, why_unanswered
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.failures import Failure, Service

_SUCCESS = re.compile(r"I: Received Echo Response \(Success\)")


def echo(tools: Toolbox, settings: Settings) -> Failure | None:
    """Send one C-ECHO; gives the failure, None for Success.

    Raises UnusableError when echoscu cannot run, ConfigurationError when it cannot use `tls`.
    """
    limit = ["-td", whole_seconds(settings.response_timeout_seconds)]
    run = tools.run(
        "echoscu",
        [*options(settings), *limit, *address(settings)],
        stall_seconds=stall_seconds(settings),
    )
    if any(map(_SUCCESS.fullmatch, output_lines(settings, run))):
        return None
    return why_unanswered(run).about(Service.ECHO)
