"""dcmsend: sends one object of any class, private ones too (storescu knows none of these)."""

from scanner_mover.dcmtk import failure
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.failures import Failure

NAME = "dcmsend"
_STALL_SECONDS = 30.0
_HOST = "127.0.0.1"
_SUCCESS = "I: Received C-STORE Response (Success)"


def send(tools: Toolbox, path: str, port: int) -> Failure | None:
    """Send the file PATH to PORT of this machine (C-STORE); gives the failure, None for Success.

    Raises UnusableError when dcmsend cannot run.
    """
    run = tools.run(NAME, ["-v", _HOST, str(port), path], stall_seconds=_STALL_SECONDS)
    lines = run.err + run.out
    return None if _SUCCESS in lines else failure.of_lines(lines)
