"""What findscu, movescu and echoscu have in common: the arguments that name the scanner and limit the time that it has
(their man pages), and how to read their output.
"""

import math

from scanner_mover.config import Settings
from scanner_mover.dcmtk import failure, tls
from scanner_mover.dcmtk.child import Why
from scanner_mover.dcmtk.tool import Run
from scanner_mover.failures import Failure, Kind

# What it means that we ended a tool; else it made no progress.
_KINDS = {Why.LIMIT: Kind.LIMIT, Why.TOO_LONG: Kind.ENDLESS}


def options(settings: Settings) -> list[str]:
    """The options for an association with the scanner of SETTINGS: verbose, AE titles, time limits, TLS."""
    arguments = ["-v", "-aet", settings.calling_ae_title, "-aec", settings.called_ae_title]
    arguments += ["-to", whole_seconds(settings.connect_timeout_seconds)]
    arguments += ["-ta", whole_seconds(settings.response_timeout_seconds)]
    if settings.max_pdu is not None:
        arguments += ["-pdu", str(settings.max_pdu)]
    if settings.tls is not None:
        arguments += tls.options(settings.tls)
    return arguments


def address(settings: Settings) -> list[str]:
    """The positional arguments: peer and port."""
    return [settings.host, str(settings.port)]


def whole_seconds(seconds: float) -> str:
    """SECONDS for an option that takes whole ones, at least one."""
    return str(max(1, math.ceil(seconds)))


def stall_seconds(settings: Settings) -> float:
    """How long a tool that only asks may print nothing: time to connect, for an answer, and to end the association."""
    return settings.connect_timeout_seconds + 2 * settings.response_timeout_seconds


def output_lines(settings: Settings, run: Run) -> list[str]:
    """The lines of RUN, standard error first.

    Raises ConfigurationError when they say that the tool cannot use `tls`.
    """
    lines = run.err + run.out
    tls.check_output(settings, lines)
    return lines


def why_unanswered(run: Run) -> Failure:
    """Why RUN ended without a final status."""
    if run.ended is not None:
        return Failure(_KINDS.get(run.ended.why, Kind.STALLED), run.ended.text)
    if run.exit_status < 0:
        return Failure(Kind.KILLED, f"a DCMTK tool was ended by signal {-run.exit_status}")
    return failure.of_lines(run.err + run.out)
