"""A failure between us and the scanner as one line for the person on call: what is wrong, and what to do."""

from scanner_mover.config import Settings
from scanner_mover.failures import Failure, Kind


def advice(failure: Failure, settings: Settings) -> str:
    """The line for FAILURE. It is the same in every pass while the failure is the same."""
    scanner = f"scanner {settings.called_ae_title} at {settings.host}:{settings.port}"
    own = settings.calling_ae_title
    port = f"port {settings.receive_port}" if settings.receive else "the port of the program that receives"
    if failure.kind is Kind.HUNG_UP:
        what = "hangs up at once"
        if settings.tls is None:
            todo = "does SCANNERPORT take TLS only? then set SCANNER_MOVER.tls; else the scanner's log says why"
        else:
            todo = f"it must trust our certificate, {settings.tls.certificate} (SCANNER_MOVER.tls.certificate)"
    elif failure.kind is Kind.INSECURE:
        what = "and we make no secure connection"
        todo = (
            "SCANNERPORT must be its port for TLS, and SCANNER_MOVER.tls.authorities must hold who signed its "
            "certificate; else another SCANNER_MOVER.tls.profile may help"
        )
    elif failure.kind is Kind.UNREACHABLE:
        what = "cannot be reached"
        todo = "is it on, are SCANNERIP and SCANNERPORT right, is there a firewall in between?"
    elif failure.kind is Kind.REJECTED:
        what = f"rejects us, {own}"
        todo = f"SCANNERAETITLE must be its own AE title, and {own} (DICOMAETITLE) must be registered on it"
    elif failure.kind is Kind.UNKNOWN_DESTINATION:
        what = f"does not know where to send images for {own}"
        todo = f"register {own} (DICOMAETITLE) on it with this machine's address and {port}"
    elif failure.kind is Kind.UNSUPPORTED:
        what = "does not offer query/retrieve, study root"
        todo = "SCANNERPORT must be the port of its query/retrieve service"
    elif failure.kind is Kind.OUT_OF_RESOURCES:
        what = "is out of resources"
        todo = f"it must reach {own} at this machine's address and {port}; else its own log says why"
    elif failure.kind is Kind.PARTIAL:
        what = "could not send some images"
        todo = "does the receiver take them, is there room on its disk? the scanner's log says why"
    elif failure.kind in (Kind.STALLED, Kind.INTERRUPTED):
        what = "stopped in the middle of a request"
        todo = "if it goes on, look at the network and at the scanner's queue"
    else:
        what = "did not do what it was asked"
        todo = "tried again in the next pass; if it goes on, the scanner's log says why"
    return f"{scanner} {what} ({failure.text}): {todo}"
