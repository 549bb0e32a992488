"""`status --check`: DCMTK's tools, another program that receives, and the scanner."""

import os
import shlex
import socket
import stat

from scanner_mover.commands.check_configuration import receiving
from scanner_mover.commands.check_line import Finding, Findings, busy, fix, not_tested, ok
from scanner_mover.config import Settings
from scanner_mover.dcmtk import dcmsend, storescp, tls
from scanner_mover.dcmtk.dcmdump import dump
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.echoscu import echo
from scanner_mover.dcmtk.tool import TOOLS, Toolbox, find_tools, version
from scanner_mover.dicom import STUDY_INSTANCE_UID
from scanner_mover.errors import ConfigurationError, UnusableError
from scanner_mover.failures import NO_CONNECTION, Failure, Kind
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.inventory import Inventory
from scanner_mover.scanner.query_files import QueryFiles
from scanner_mover.scanner.retry import with_retries
from scanner_mover.scanner.scratch import scratch_folder

_ECHOSCU = "echoscu"
_TLS_TOOLS = ("findscu", "movescu", _ECHOSCU, storescp.NAME)
# A study that no scanner has: below the root that UUIDs have (DICOM PS3.5 section B.2), for the UUID of zeros.
_NO_STUDY = "2.25.0"
# A scanner that serves one association at a time may need a moment before it takes the next one.
_RETRIES = 3


def tools(settings: Settings) -> Findings:
    """Each tool with its version, and the data dictionary. Raises UnusableError without a dictionary."""
    for name in (*TOOLS, _ECHOSCU, *([storescp.NAME, dcmsend.NAME] if settings.receive else [])):
        try:
            found = find_tools([name])
            number = ".".join(str(part) for part in version(found, name))
            yield ok(f"{found.paths[name]} is DCMTK {number}")
            if name in _TLS_TOOLS:
                tls.check_tools(found, settings, [name])
        except (ConfigurationError, UnusableError) as error:
            yield fix(str(error))
    asked = os.environ.get("DCMDICTPATH")
    used = find_tools(["dump2dcm"]).environment.get("DCMDICTPATH")
    if asked and not used:
        yield ok(f"DCMDICTPATH names no file that exists ({asked}): DCMTK's own path is used")
    found = find_tools()
    with scratch_folder() as folder:
        query = make_query_file(found, series_of_study(_NO_STUDY), os.path.join(folder, "query"))
        # A query file is made with our own small dictionary. Only what reads it needs the whole one.
        dump(found, folder, [os.path.basename(query)], [STUDY_INSTANCE_UID])
    yield ok(f"data dictionary {used or 'of the DCMTK package'}")


def other_receiver(settings: Settings) -> Findings:
    """Whether another program listens on the port on which images arrive."""
    given = receiving(settings.file, settings.project)
    if given is None or given.receive_port is None:
        yield not_tested("whether another program receives: DICOMPORT is not given")
        return
    with socket.socket() as probe:
        probe.settimeout(settings.connect_timeout_seconds)
        if probe.connect_ex(("127.0.0.1", given.receive_port)) == 0:
            yield ok(f"a program listens on DICOMPORT {given.receive_port}")
        else:
            yield fix(f"nothing listens on DICOMPORT {given.receive_port}: start the storage SCP, or set receive")


def scanner(settings: Settings) -> Findings:
    """A C-ECHO and a C-FIND. Raises UnusableError without a tool, ConfigurationError when `tls` cannot be used."""
    found = find_tools((*TOOLS, _ECHOSCU))
    tls.check_files(settings)
    if settings.tls is not None and os.stat(settings.tls.key).st_mode & stat.S_IRWXO:
        yield fix(f"{settings.tls.place}.key can be read by everybody: chmod o= {shlex.quote(settings.tls.key)}")
    failure = with_retries(lambda: echo(found, settings), _busy, _RETRIES)
    yield _answer("C-ECHO", failure, settings)
    if failure is None or failure.kind not in NO_CONNECTION:
        failure = with_retries(lambda: _find_nothing(found, settings), _busy, _RETRIES)
        yield _answer("C-FIND", failure, settings)


def _find_nothing(found: Toolbox, settings: Settings) -> Failure | None:
    """Ask once for a study that no scanner has."""
    with scratch_folder() as folder:
        files = QueryFiles(found, folder)
        return Inventory(found, settings, files, 0, lambda line: None).series([_NO_STUDY])[_NO_STUDY].failure


def _busy(failure: Failure | None) -> Failure | None:
    """FAILURE if it may only mean that the scanner has not closed our last association yet."""
    return failure if failure is not None and failure.kind in (Kind.BUSY, Kind.HUNG_UP) else None


def _answer(question: str, failure: Failure | None, settings: Settings) -> Finding:
    """What became of a QUESTION to the scanner. One that is busy is not wrong, but nothing is known of it."""
    if failure is None:
        return ok(f"the scanner answers a {question}")
    if failure.kind is Kind.BUSY:
        return busy(f"{question}: the scanner is busy and takes no more associations ({failure.text}); try again")
    return fix(f"{question}: {advice(failure, settings)}")


def sending() -> Findings:
    """What only a retrieve can show."""
    yield not_tested("whether the scanner sends to us; try move --study UID")
