"""A failure between us and the scanner as one line for the person on call: what is wrong, and what to do."""

from typing import NamedTuple

from scanner_mover.config import Settings
from scanner_mover.failures import Detail, Failure, Kind, Level, Service, Title


class _Advice(NamedTuple):
    """What the scanner does, as the end of a sentence that begins with its name, and what a person can do."""

    what: str
    todo: str


def advice(failure: Failure, settings: Settings) -> str:
    """The line for FAILURE. It is the same in every pass while the failure is the same."""
    what, todo = _advice(failure, settings)
    scanner = f"scanner {settings.called_ae_title} at {settings.host}:{settings.port}"
    return f"{scanner} {what} ({failure.text}): {todo}"


def _advice(failure: Failure, settings: Settings) -> _Advice:
    own = settings.calling_ae_title
    match failure.kind:
        case Kind.HUNG_UP:
            return _hung_up(settings)
        case Kind.UNREACHABLE:
            return _Advice(
                "cannot be reached", "is it on, are SCANNERIP and SCANNERPORT right, is there a firewall in between?"
            )
        case Kind.INSECURE:
            return _Advice(
                "and this server cannot agree on a secure connection",
                "SCANNERPORT must be its port for TLS, and SCANNER_MOVER.tls.authorities must contain the CA "
                "that signed its certificate; else another SCANNER_MOVER.tls.profile may help",
            )
        case Kind.BUSY:
            return _Advice("is busy", "it takes no more associations for now; we try again")
        case Kind.REJECTED:
            return _Advice(f"rejects us, {own}", _rejected(failure.detail.title, settings))
        case Kind.UNSUPPORTED:
            return _Advice(
                "does not offer query/retrieve, study root",
                "SCANNERPORT must be the port of its query/retrieve service",
            )
        case Kind.UNKNOWN_DESTINATION:
            return _Advice(
                f"does not know where to send images for {own}",
                f"register {own} (DICOMAETITLE) on it with this machine's address and {_port(settings)}",
            )
        case _:
            return _in_a_request(failure, settings)


def _in_a_request(failure: Failure, settings: Settings) -> _Advice:
    """The advice for a failure after the scanner took the association."""
    match failure.kind:
        case Kind.OUT_OF_RESOURCES:
            return _out_of_resources(failure.detail, settings)
        case Kind.PARTIAL:
            return _Advice("could not send some images", _partial(failure.detail))
        case Kind.STALLED:
            return _Advice("stopped in the middle of a request", _stalled(failure.detail.service))
        case Kind.INTERRUPTED:
            return _Advice(
                "stopped in the middle of a request", "if it goes on, look at the network and at the scanner's log"
            )
        case Kind.KILLED:
            return _Advice(
                "was cut off",
                "this server ended it, not the scanner: is it short of memory? `dmesg` says why; we try again",
            )
        case Kind.CANCELLED:
            return _Advice(
                "cancelled a request", "it may limit the number of answers, or somebody cancelled it; its log says why"
            )
        case Kind.LIMIT | Kind.ENDLESS:
            return _Advice("sends answers without end", "no more are taken; if it goes on, the scanner's log says why")
        case _:
            return _Advice(
                "did not do what it was asked",
                "tried again in the next pass; if it goes on, the scanner's log says why",
            )


def _hung_up(settings: Settings) -> _Advice:
    if settings.tls is None:
        todo = "does SCANNERPORT take TLS only? then set SCANNER_MOVER.tls; else the scanner's log says why"
    else:
        todo = f"it must trust our certificate, {settings.tls.certificate} (SCANNER_MOVER.tls.certificate)"
    return _Advice("hangs up at once", todo)


def _rejected(title: Title | None, settings: Settings) -> str:
    """What to do when an association is rejected, by the title that the scanner does not accept, if it says which."""
    called = f"{settings.called_ae_title} (SCANNERAETITLE) must be the AE title that the scanner itself has"
    calling = f"{settings.calling_ae_title} (DICOMAETITLE) must be registered on it"
    if title is Title.CALLED:
        return called
    return calling if title is Title.CALLING else f"{called}, and {calling}"


def _out_of_resources(detail: Detail, settings: Settings) -> _Advice:
    """0xA700 to 0xA702: of a C-FIND it is about the answers, of a C-MOVE mostly about the way to us (PS3.4 C.4)."""
    if detail.service is Service.FIND and detail.level is Level.IMAGE:
        return _Advice(
            "does not list the images of a series",
            "it may limit the number of answers; after three such answers its count of images decides",
        )
    if detail.service is Service.FIND:
        return _Advice("is out of resources", "it is busy, or limits the number of answers; its own log says why")
    if detail.refused:
        return _Advice("cannot send all images", _partial(detail))
    if detail.level is Level.IMAGE:  # other images of the series arrived
        return _Advice("cannot send some images", "can it read them? its own log says why")
    own = settings.calling_ae_title
    return _Advice(
        "is out of resources",
        f"it must reach {own} at this machine's address and {_port(settings)}; else its own log says why",
    )


def _partial(detail: Detail) -> str:
    if detail.refused:
        return f"the receiver does not take {', '.join(detail.refused)}; the scanner's log says more"
    return "does the receiver take them, is there room on its disk? the scanner's log says why"


def _stalled(service: Service | None) -> str:
    if service in (Service.FIND, Service.ECHO):
        return "if it goes on, look at the network and at the scanner's load"
    return "if it is only slow, set SCANNER_MOVER.retrieve_stall_seconds higher; else look at the network and its queue"


def _port(settings: Settings) -> str:
    """The port that the scanner must send images to."""
    return f"port {settings.receive_port}" if settings.receive else "the port of the program that receives"
