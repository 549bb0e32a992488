"""What findscu and movescu have in common: the arguments that name the scanner and limit its time (their man pages)."""

import math

from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls


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
