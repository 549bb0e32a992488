"""movescu: has the scanner send images (C-MOVE, study root), to another program or to movescu itself (`+P`).

Its exit status is 0 also when the scanner hangs up in the middle; only the final status in its text counts, and the
images that are there afterwards. `+xa` takes every transfer syntax, and each image is stored in the one it came in;
`+B` is not used (dcmtk 3.6.5 and 3.6.7 then ignore `-od`).

Who may send to it can be narrowed by rules for the daemon `movescu` in `/etc/hosts.allow` and `/etc/hosts.deny`
(hosts_access(5)): where there are any, it gets `+ac`.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scanner_mover.config import Settings
from scanner_mover.dcmtk import failure
from scanner_mover.dcmtk.association import address, options, output_lines, why_unanswered
from scanner_mover.dcmtk.tool import Toolbox
from scanner_mover.errors import UnusableError
from scanner_mover.failures import Failure

# Responses without an image are patiently heard for so many times the limit of one, if it is us who receive.
_MOST_LIMITS = 10

_SENDING = re.compile(r"I: Sending Move Request.*")
_FINAL = re.compile(r"I: Received Final Move Response \((.*)\)")
_RECEIVED = re.compile(r"I: Received Store Request")
_PENDING = re.compile(r"I: Received Move Response \d+ \(Pending")
_DENIED = re.compile(r"E: (?:[0-9a-f]{4}:[0-9a-f]{4} )?TCP wrapper: (denied connection from .*)")
_RULES = ("/etc/hosts.allow", "/etc/hosts.deny")
_RULE = re.compile(r"^[^#\n]*\bmovescu\b", re.MULTILINE)
_CANNOT_LISTEN = re.compile(r"F: cannot (?:create network: |listen on port ).*")


@dataclass(frozen=True)
class Moved:
    """How one C-MOVE went: whether it was sent, its final status as movescu words it, the failure that it was, and
    the seconds that it took; `denied` are its words for each connection that a rule of this machine refused."""

    sent: bool
    status: str
    failure: Failure | None
    seconds: float
    denied: tuple[str, ...] = ()


def parse(lines: Iterable[str]) -> tuple[bool, str | None]:
    """Whether a C-MOVE was sent, and its final status, from movescu's lines at `-v`."""
    sent, status = False, None
    for line in lines:
        if _SENDING.fullmatch(line):
            sent = True
        elif found := _FINAL.fullmatch(line):
            status = found[1]
    return sent, status


def move(
    tools: Toolbox,
    settings: Settings,
    query: str,
    *,
    staging: str | None,
    progress: Callable[[], Any],
    on_image: Callable[[], None],
    meanwhile: Callable[[], None] | None = None,
) -> Moved:
    """Send the query file QUERY as a C-MOVE whose images go to our own AE title.

    With STAGING, an empty folder, movescu takes them itself on DICOMPORT and puts them there; without, another
    program does. The C-MOVE is ended when for `retrieve_stall_seconds` no response came and `progress` stayed the
    same; movescu's own `-td` is not used, because with another receiver it would end a retrieve whose images do
    arrive.

    `on_image` is called, from another thread, each time that movescu tells of one more image; `meanwhile` now and then
    while it runs.

    Raises UnusableError when movescu cannot run or the port is taken, ConfigurationError when it cannot use `tls`.
    """
    receive = [] if staging is None else ["+P", str(settings.receive_port), "+xa", "-od", staging, *_access()]
    image = _RECEIVED if receive else _PENDING
    began = time.monotonic()
    run = tools.run(
        "movescu",
        [*options(settings), "--study", "-aem", settings.calling_ae_title, *receive, *address(settings), query],
        stall_seconds=settings.retrieve_stall_seconds,
        progress=progress,
        most_seconds=_MOST_LIMITS * settings.retrieve_stall_seconds if receive else None,
        on_line=lambda line: on_image() if image.match(line) else None,
        meanwhile=meanwhile,
    )
    seconds = time.monotonic() - began
    lines = output_lines(settings, run)
    if receive and any(_CANNOT_LISTEN.fullmatch(line) for line in lines):
        why = failure.of_lines(lines).text
        raise UnusableError(f"port {settings.receive_port} (DICOMPORT) cannot be opened to receive images: {why}")
    sent, status = parse(lines)
    denied = tuple(found[1] for line in lines if (found := _DENIED.fullmatch(line)))
    if status is not None:
        return Moved(sent, status, failure.of_status(status), seconds, denied)
    broken = why_unanswered(run)
    return Moved(sent, broken.text, broken, seconds, denied)


def _access() -> list[str]:
    """The options for who may connect; names are never looked up: a name server that is down would hold up images."""
    for path in _RULES:
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            if _RULE.search(file.read()):
                return ["-dhl", "+ac"]
    return ["-dhl"]
