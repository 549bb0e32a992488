"""The set-up, tested point by point: what `status --check` says."""

import json
import os
import pwd
import shlex
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scanner_mover import config
from scanner_mover.config import Settings
from scanner_mover.dcmtk import tls
from scanner_mover.dcmtk.dump2dcm import make_query_file, series_of_study
from scanner_mover.dcmtk.echoscu import echo
from scanner_mover.dcmtk.tool import TOOLS, Toolbox, find_tools, version
from scanner_mover.errors import ConfigurationError, ScannerMoverError, UnusableError, reason
from scanner_mover.failures import NO_CONNECTION
from scanner_mover.scanner.advice import advice
from scanner_mover.scanner.inventory import Asker
from scanner_mover.site.disk import free_bytes
from scanner_mover.site.folders import DataFolders, ServerFolders, is_switched_on
from scanner_mover.transfer.overview import is_locked, look

_ECHOSCU = "echoscu"
_TLS_TOOLS = ("findscu", "movescu", _ECHOSCU)
_SCANNER_KEYS = ("SCANNERIP", "SCANNERPORT", "SCANNERAETITLE", "DICOMAETITLE")
# A study that no scanner has: below the root that UUIDs have (DICOM PS3.5 section B.2), for the UUID of zeros.
_NO_STUDY = "2.25.0"
_MOST_SECONDS_BETWEEN_PASSES = 120.0
_FIRST_FREE_PORT = 1024
_MOST_SECONDS_BETWEEN_CLOCKS = 5.0


@dataclass(frozen=True)
class Finding:
    """One line of the check: all is well, or what to do."""

    ok: bool
    text: str


Findings = Iterator[Finding]


def _ok(text: str) -> Finding:
    return Finding(True, text)


def _fix(text: str) -> Finding:
    return Finding(False, text)


def check(file: str, project: str, server: ServerFolders) -> Findings:
    """Test the set-up of PROJECT in the configuration FILE, one finding after the other."""
    try:
        settings = config.load(file, project)
    except ConfigurationError as error:
        yield _fix(str(error))
        yield from _only_in_pcgc(file, project)
        return
    yield from _configuration(settings)
    folders = DataFolders(settings.data_dir)
    checks: list[Callable[[], Findings]] = [
        lambda: _other_projects(settings),
        lambda: _tools(settings),
        lambda: _folders(settings, folders, server),
        lambda: _owners(settings, folders, server),
        lambda: _disk(settings, folders),
        lambda: _clock(server),
        lambda: _passes(settings, folders, server),
        lambda: _port(settings),
        lambda: _scanner(settings),
    ]
    told = set()
    for one in checks:
        try:
            for finding in one():
                told.add(finding.text)
                yield finding
        except ScannerMoverError as error:
            # What is wrong with a tool is told once, not by each check that needs it.
            if str(error) not in told:
                yield _fix(str(error))
        except OSError as error:
            yield _fix(f"{error.filename or 'the set-up'} cannot be tested: {reason(error)}")


def _configuration(settings: Settings) -> Findings:
    sources = config.sources(settings.file, settings.project)
    values = {
        "DATADIR": settings.data_dir,
        "SCANNERIP": settings.host,
        "SCANNERPORT": settings.port,
        "SCANNERAETITLE": settings.called_ae_title,
        "DICOMAETITLE": settings.calling_ae_title,
    }
    if settings.receive:
        values["DICOMPORT"] = settings.receive_port or 0
    options = settings._asdict()
    if settings.tls is not None:
        given = (f"{name} {value}" for name, value in settings.tls._asdict().items() if name != "place" and value)
        options["tls"] = ", ".join(given)
    values |= {option: options[option] for option in sources if option in options}
    yield _ok(f"configuration {settings.file}, project {settings.project}")
    for key, value in values.items():
        yield _ok(f"{key} is {value} ({sources.get(key, 'default')})")


def _only_in_pcgc(file: str, project: str) -> Findings:
    """A site that lived on the script's habit to take every project's scanner from `SITES.PCGC` (R3)."""
    try:
        own, pcgc = config.site_keys(file, project), config.site_keys(file, "PCGC")
    except ConfigurationError:
        return
    lines = [
        f"{json.dumps(key)}: {json.dumps(pcgc[key])}" for key in _SCANNER_KEYS if key in pcgc and own.get(key) is None
    ]
    if project not in (config.DEFAULT_PROJECT, "PCGC") and lines:
        yield _fix(
            f"the script took the scanner of every project from SITES.PCGC; copy into SITES.{project} of {file}: "
            + ", ".join(lines)
        )


def _other_projects(settings: Settings) -> Findings:
    """Two projects cannot both receive on one port, nor share it for two data folders."""
    sources = config.sources(settings.file, settings.project)
    if "DICOMPORT" not in sources:
        return
    own = _receiving(settings.file, settings.project)
    for project in config.projects(settings.file):
        if project == settings.project:
            continue
        other = _receiving(settings.file, project)
        if own is None or other is None or own.receive_port != other.receive_port:
            continue
        if own.data_dir != other.data_dir or settings.receive or config.load(settings.file, project).receive:
            yield _fix(
                f"the projects {settings.project} and {project} have one DICOMPORT, {own.receive_port}: "
                "give each its own, and tell the scanner"
            )


def _receiving(file: str, project: str) -> Settings | None:
    try:
        return config.load(file, project, receive=True)
    except ConfigurationError:
        return None


def _tools(settings: Settings) -> Findings:
    for name in (*TOOLS, _ECHOSCU):
        try:
            tools = find_tools([name])
            number = ".".join(str(part) for part in version(tools, name))
            yield _ok(f"{tools.paths[name]} is DCMTK {number}")
            if name in _TLS_TOOLS:
                tls.check_tools(tools, settings, [name])
        except (ConfigurationError, UnusableError) as error:
            yield _fix(str(error))
    asked = os.environ.get("DCMDICTPATH")
    used = find_tools(["dump2dcm"]).environment.get("DCMDICTPATH")
    if asked and not used:
        yield _ok(f"DCMDICTPATH names no file that exists ({asked}): DCMTK's own path is used")
    with tempfile.TemporaryDirectory(prefix="scanner-mover.") as work:
        make_query_file(find_tools(), series_of_study(_NO_STUDY), os.path.join(work, "query"))
    yield _ok(f"data dictionary {used or 'of the DCMTK package'}")


def _folders(settings: Settings, folders: DataFolders, server: ServerFolders) -> Findings:
    switch = "on" if is_switched_on(folders) else "off"
    yield _ok(f"the switch {folders.enabled} is {switch}" + ("" if switch == "on" else ": nothing is pulled"))
    written = [folders.active_scans, folders.finished_scans, folders.failed_scans, server.pids]
    written.append(os.path.dirname(server.log))
    if settings.receive:
        written.append(folders.raw)
    for path in written:
        if not os.path.isdir(path):
            yield _nearest(path)
        elif os.access(path, os.W_OK | os.X_OK):
            yield _ok(f"{path} can be written")
        else:
            yield _fix(f"{path} cannot be written by {_user(os.geteuid())}: chown or chmod it")
    for path in (folders.scanner, *(() if settings.receive else (folders.raw,))):
        if not os.path.isdir(path):
            yield _fix(f"{path} is not there: make it for the program that writes into it")
        elif os.access(path, os.R_OK | os.X_OK):
            yield _ok(f"{path} can be read")
        else:
            yield _fix(f"{path} cannot be read by {_user(os.geteuid())}: chmod it")


def _nearest(path: str) -> Finding:
    """For a folder that is not there yet: whether a pass can make it."""
    if os.path.lexists(path):
        return _fix(f"{path} is not a folder: move it out of the way")
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    if os.access(parent, os.W_OK | os.X_OK):
        return _ok(f"{path} is not there yet and will be made")
    return _fix(f"{path} is not there and cannot be made: make it for {_user(os.geteuid())}")


def _owners(settings: Settings, folders: DataFolders, server: ServerFolders) -> Findings:
    """Files of another user than the one that runs the passes: for root, the one that owns the requests' folder."""
    user = os.geteuid()
    if user == 0 and os.path.isdir(folders.active_scans):
        user = os.stat(folders.active_scans).st_uid
    paths = [server.pids, server.lock, server.state, os.path.dirname(server.log), server.log]
    paths += [folders.active_scans, folders.finished_scans, folders.failed_scans]
    if settings.receive:
        paths.append(folders.raw)
    others = [path for path in paths if os.path.exists(path) and os.stat(path).st_uid != user]
    for path in others:
        yield _fix(f"{path} belongs to {_user(os.stat(path).st_uid)}: chown {_user(user)} {shlex.quote(path)}")
    if not others:
        yield _ok(f"log, lock, state and requests belong to {_user(user)}")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _disk(settings: Settings, folders: DataFolders) -> Findings:
    free = free_bytes(folders.raw)
    if free < settings.reserve_bytes:
        yield _fix(f"{free} bytes are free for {folders.raw}, below reserve_bytes: make room, or nothing is pulled")
    else:
        yield _ok(f"{free >> 20} MiB are free for {folders.raw}, {settings.reserve_bytes >> 20} are kept in reserve")


def _clock(server: ServerFolders) -> Findings:
    """A file server with another time than ours makes requests look older or newer than they are (R24)."""
    folder = os.path.dirname(server.log)
    if not os.access(folder, os.W_OK):
        return
    with tempfile.NamedTemporaryFile(prefix=".scanner-mover.", dir=folder) as file:
        ahead = os.fstat(file.fileno()).st_mtime - time.time()
    if abs(ahead) > _MOST_SECONDS_BETWEEN_CLOCKS:
        yield _fix(f"the clock of {folder} differs from this machine's by {ahead:.0f} seconds: run NTP on both")
    else:
        yield _ok(f"the clock of {folder} is this machine's")


def _passes(settings: Settings, folders: DataFolders, server: ServerFolders) -> Findings:
    running = is_locked(server.lock)
    words = {True: "a pass holds it now", False: "free", None: "who holds it cannot be seen here"}
    yield _ok(f"the lock {server.lock}: {words[running]}")
    age = look(settings, server).last_pass_age_seconds
    if (age is not None and age <= _MOST_SECONDS_BETWEEN_PASSES) or running:
        yield _ok(f"the last pass began {age or 0:.0f} seconds ago")
        return
    when = "there was no pass yet" if age is None else f"the last pass began {age:.0f} seconds ago"
    yield _fix(f"{when}: call moveFromScanner.sh from cron every 15 seconds, or switch on the timer")


def _port(settings: Settings) -> Findings:
    if settings.receive:
        if (settings.receive_port or 0) < _FIRST_FREE_PORT and os.geteuid() != 0:
            yield _fix(
                f"DICOMPORT {settings.receive_port}: DCMTK's tools open ports below {_FIRST_FREE_PORT} for root only; "
                "listen above and send the port on, see the README"
            )
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", settings.receive_port or 0))
                yield _ok(f"DICOMPORT {settings.receive_port} is free for movescu")
            except OSError:
                yield _fix(f"another program listens on DICOMPORT {settings.receive_port}: stop it, or unset receive")
        return
    given = _receiving(settings.file, settings.project)
    if given is None or given.receive_port is None:
        yield _ok("another program receives; DICOMPORT is not given, so it cannot be tested")
        return
    with socket.socket() as probe:
        probe.settimeout(settings.connect_timeout_seconds)
        if probe.connect_ex(("127.0.0.1", given.receive_port)) == 0:
            yield _ok(f"a program listens on DICOMPORT {given.receive_port}")
        else:
            yield _fix(f"nothing listens on DICOMPORT {given.receive_port}: start the storage SCP, or set receive")


def _scanner(settings: Settings) -> Findings:
    tools: Toolbox = find_tools((*TOOLS, _ECHOSCU))
    tls.check_files(settings)
    if settings.tls is not None and os.stat(settings.tls.key).st_mode & stat.S_IRWXO:
        yield _fix(f"{settings.tls.place}.key can be read by everybody: chmod o= {shlex.quote(settings.tls.key)}")
    failure = echo(tools, settings)
    if failure is not None:
        yield _fix(f"C-ECHO: {advice(failure, settings)}")
        if failure.kind in NO_CONNECTION:
            return
    else:
        yield _ok("the scanner answers a C-ECHO")
    with tempfile.TemporaryDirectory(prefix="scanner-mover.") as work:
        failure = Asker(tools, settings, work, 0).series([_NO_STUDY])[_NO_STUDY].failure
    yield _ok("the scanner answers a C-FIND") if failure is None else _fix(f"C-FIND: {advice(failure, settings)}")
