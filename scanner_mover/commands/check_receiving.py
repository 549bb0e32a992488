"""`status --check` where we receive: the port, who may send, this machine's own name, and a trial."""

import contextlib
import os
import socket
import threading
import time

from scanner_mover import signals
from scanner_mover.commands.check_line import Finding, Findings, fix, not_tested, ok
from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmsend, storescp, tls
from scanner_mover.dcmtk.dump2dcm import Query, make_query_file
from scanner_mover.dcmtk.storescp import Listener
from scanner_mover.dcmtk.tool import find_tools
from scanner_mover.errors import UnusableError
from scanner_mover.scanner.scratch import scratch_folder
from scanner_mover.site.folders import DataFolders
from scanner_mover.site.staging import is_staging

_RULES = " or ".join(storescp.RULES)
# storescp looks up this machine's own name for each association; a scanner does not wait for ever.
_LOOKUP_SECONDS = 2.0
_LOOK_SECONDS = 0.1
# Below the root that UUIDs have (DICOM PS3.5 section B.2).
_UIDS = ("study_instance_uid", "2.25.1"), ("series_instance_uid", "2.25.2"), ("sop_instance_uid", "2.25.3")


def port(settings: Settings, folders: DataFolders) -> Findings:
    """Whether DICOMPORT can be opened: it is free, or a pass receives on it now."""
    number = settings.receive_port or 0
    try:
        storescp.need_port(number)
    except UnusableError as error:
        if storescp.is_receiving(is_staging(folders)):
            yield ok(f"a pass receives on DICOMPORT {number} now")
        else:
            yield fix(str(error))
        return
    yield ok(f"DICOMPORT {number} is free for us")


def rules() -> Findings:
    """Who may send: the rules for storescp, and those that still name movescu, which received before."""
    if storescp.has_rule_for(storescp.NAME):
        yield ok(f"rules for storescp in {_RULES} say who may send")
    elif storescp.has_rule_for("movescu"):
        yield fix(f"rules in {_RULES} name movescu, which no longer receives: let them name storescp")
    else:
        yield ok(f"everybody who reaches the port may send while we receive: no rule for storescp in {_RULES}")


def own_name() -> Findings:
    """Whether this machine's own name resolves at once."""
    name = socket.gethostname()
    seconds = _lookup_seconds(name)
    if seconds is None:
        yield fix(
            f"looking up this machine's own name, {name}, takes more than {_LOOKUP_SECONDS:g} seconds, which each "
            "association of the scanner waits for: put it into /etc/hosts"
        )
    else:
        yield ok(f"this machine's own name, {name}, is looked up in {seconds:.1f} seconds")


def trial(settings: Settings) -> Findings:
    """Whether an object of a private class arrives, by a receiver of its own on a free port.

    Raises UnusableError when a tool is missing, ConfigurationError when storescp cannot use `tls`.
    """
    tools = find_tools([storescp.NAME, dcmsend.NAME, "dump2dcm"])
    tls.check(tools, settings, [storescp.NAME])
    with scratch_folder() as folder:
        staging = os.path.join(folder, "received")
        os.mkdir(staging)
        own = settings._replace(receive_port=_free_port(), tls=None)
        listener = Listener(tools, own, staging)
        try:
            sent = make_query_file(tools, Query("private_object.dump", _UIDS), os.path.join(folder, "object"))
            try:
                listener.start()
            except UnusableError as error:  # it names the port as DICOMPORT, which this one is not
                raise UnusableError(f"storescp cannot receive here: {str(error).partition(': ')[2]}") from error
            try:
                failure = dcmsend.send(tools, sent, own.receive_port or 0)
            except UnusableError as error:
                yield not_tested(f"whether storescp receives private classes: {error}")
                return
            arrived = os.listdir(staging)
        finally:
            listener.end()
    yield _of_trial(None if failure is None else failure.text, len(arrived))


def _of_trial(failure: str | None, arrived: int) -> Finding:
    if failure is None and arrived == 1:
        return ok("storescp receives objects of private classes too")
    return fix(f"an object of a private class that was sent to storescp did not arrive: {failure or 'it said Success'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _lookup_seconds(name: str) -> float | None:
    """The seconds that the look-up of NAME takes; None when it takes too long. That it fails is no harm."""
    began = time.monotonic()
    over = threading.Event()

    def look_up() -> None:
        with contextlib.suppress(OSError):
            socket.gethostbyname(name)
        over.set()

    threading.Thread(target=look_up, daemon=True).start()
    while not over.wait(_LOOK_SECONDS):
        signals.check()
        if time.monotonic() - began > _LOOKUP_SECONDS:
            return None
    return time.monotonic() - began
